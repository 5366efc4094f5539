/* SPDX-License-Identifier: MIT */
#include "orca.h"

#include "orca_data.minirpc.h"
#include "orca_service.minirpc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define LEAST_INTERVAL MINIRPC_S(1) /* for tests; 30 s would be usual */

/* ---- From what a test wants to what is told ---- */

typedef Xds__Data__Orca__V3__OrcaLoadReport Told;
typedef Xds__Data__Orca__V3__OrcaLoadReport__RequestCostEntry ToldCost;
typedef Xds__Data__Orca__V3__OrcaLoadReport__UtilizationEntry ToldUtilization;

/* [told costs][their pointers][told utilizations][their pointers] */
struct entries {
	ToldCost *costs;
	ToldCost **cost_list;
	ToldUtilization *utilizations;
	ToldUtilization **utilization_list;
};

static void entries_free(struct entries *entries)
{
	free(entries->costs);
	free(entries->cost_list);
	free(entries->utilizations);
	free(entries->utilization_list);
}

static int entries_make(struct entries *entries, const Grpc__Testing__TestOrcaReport *wanted)
{
	size_t costs = wanted->n_request_cost, utilizations = wanted->n_utilization;

	entries->costs = calloc(costs + 1, sizeof *entries->costs);
	entries->cost_list = calloc(costs + 1, sizeof(void *));
	entries->utilizations = calloc(utilizations + 1, sizeof *entries->utilizations);
	entries->utilization_list = calloc(utilizations + 1, sizeof(void *));
	if (entries->costs == NULL || entries->cost_list == NULL || entries->utilizations == NULL ||
	    entries->utilization_list == NULL)
		return -ENOMEM;

	for (size_t i = 0; i < costs; i++) {
		entries->costs[i] = (ToldCost){
			XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__REQUEST_COST_ENTRY__FIELDS,
			.key = wanted->request_cost[i]->key,
			.value = wanted->request_cost[i]->value,
		};
		entries->cost_list[i] = &entries->costs[i];
	}
	for (size_t i = 0; i < utilizations; i++) {
		entries->utilizations[i] = (ToldUtilization){
			XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__UTILIZATION_ENTRY__FIELDS,
			.key = wanted->utilization[i]->key,
			.value = wanted->utilization[i]->value,
		};
		entries->utilization_list[i] = &entries->utilizations[i];
	}
	return 0;
}

int report_make(struct report *ret_report, const Grpc__Testing__TestOrcaReport *wanted)
{
	struct entries entries = { 0 };
	int r = entries_make(&entries, wanted);

	if (r == 0) {
		Told told = {
			XDS__DATA__ORCA__V3__ORCA_LOAD_REPORT__FIELDS,
			.cpu_utilization = wanted->cpu_utilization,
			.mem_utilization = wanted->memory_utilization,
			.request_cost = entries.cost_list,
			.n_request_cost = wanted->n_request_cost,
			.utilization = entries.utilization_list,
			.n_utilization = wanted->n_utilization,
		};
		size_t len = protobuf_c_message_get_packed_size(&told.base);
		void *data = malloc(len + 1);

		if (data == NULL)
			r = -ENOMEM;
		else
			*ret_report =
				(struct report){ data, protobuf_c_message_pack(&told.base, data) };
	}
	entries_free(&entries);
	return r;
}

void report_clear(struct report *report)
{
	free(report->data);
	*report = (struct report){ 0 };
}

/* ---- The service ---- */

typedef xds_service_orca_v3_open_rca_service_stream_core_metrics_callee feed_callee;

struct feed {
	minirpc_call *call;
	const struct report *report;
	minirpc_time interval;
	minirpc_timer *timer;
};

static void tell(void *user)
{
	struct feed *feed = user;

	feed->timer = NULL;
	if (minirpc_timer_start(&feed->timer, minirpc_server_loop(minirpc_call_server(feed->call)),
				feed->interval, tell, feed) < 0) {
		minirpc_call_fail(feed->call, MINIRPC_RESOURCE_EXHAUSTED, "no timer");
		return;
	}
	/* A reader that is too slow misses one. */
	minirpc_call_send(feed->call, feed->report->data, feed->report->len);
}

static void left(feed_callee *call, const struct minirpc_status *status, void *user)
{
	struct feed *feed = user;

	(void)call;
	minirpc_timer_cancel(feed->timer);
	minirpc_call_end(feed->call, status);
}

static void on_stream(feed_callee *callee,
		      const Xds__Service__Orca__V3__OrcaLoadReportRequest *request, void *user)
{
	static const struct xds_service_orca_v3_open_rca_service_stream_core_metrics_callee_events
		events = { .on_end = left };
	minirpc_call *call = xds_service_orca_v3_open_rca_service_stream_core_metrics_call(callee);
	struct feed *feed = minirpc_call_alloc(call, sizeof *feed);
	const Google__Protobuf__Duration *wanted = request->report_interval;

	if (feed == NULL || xds_service_orca_v3_open_rca_service_stream_core_metrics_listen(
				    callee, &events, feed) < 0) {
		minirpc_call_fail(call, MINIRPC_RESOURCE_EXHAUSTED, "no memory");
		return;
	}
	*feed = (struct feed){ .call = call, .report = user, .interval = LEAST_INTERVAL };
	if (wanted != NULL && wanted->seconds >= 1 && wanted->seconds < 86400)
		feed->interval = MINIRPC_S(wanted->seconds) + MINIRPC_NS(wanted->nanos);
	tell(feed);
}

int orca_serve(minirpc_server *server, const struct report *report)
{
	static const struct xds_service_orca_v3_open_rca_service_handlers handlers = {
		.stream_core_metrics = on_stream,
	};

	return xds_service_orca_v3_open_rca_service_serve(server, &handlers,
							  (void *)(uintptr_t)report);
}
