/* SPDX-License-Identifier: MIT */
/* Load reports, per call and beside the calls [O-1]. Ours is no load balancer yet: the case listens
 * to what a balancer would listen to. */
#include "cases.h"

#include "orca_service.minirpc.h"

#include <string.h>

typedef Xds__Data__Orca__V3__OrcaLoadReport Load;

/* One of a map's one entry. */
struct load {
	double cpu, memory, cost, util;
};

static const struct load first = { 0.8210, 0.5847, 3456.32, 0.30499 };
static const struct load second = { 0.29309, 0.2, 0, 0.2039 };

static bool is_load(const Load *got, const struct load *want)
{
	if (got->cpu_utilization != want->cpu || got->mem_utilization != want->memory)
		return false;
	if (got->n_request_cost != (want->cost != 0) || got->n_utilization != (want->util != 0))
		return false;
	if (want->cost != 0 && (strcmp(got->request_cost[0]->key, "cost") != 0 ||
				got->request_cost[0]->value != want->cost))
		return false;
	return want->util == 0 || (strcmp(got->utilization[0]->key, "util") == 0 &&
				   got->utilization[0]->value == want->util);
}

static bool orca_per_rpc(struct client *client)
{
	Grpc__Testing__TestOrcaReport__RequestCostEntry cost = {
		GRPC__TESTING__TEST_ORCA_REPORT__REQUEST_COST_ENTRY__FIELDS, .key = (char *)"cost",
		.value = first.cost
	};
	Grpc__Testing__TestOrcaReport__UtilizationEntry util = {
		GRPC__TESTING__TEST_ORCA_REPORT__UTILIZATION_ENTRY__FIELDS, .key = (char *)"util",
		.value = first.util
	};
	Grpc__Testing__TestOrcaReport report = {
		GRPC__TESTING__TEST_ORCA_REPORT__FIELDS,
		.cpu_utilization = first.cpu,
		.memory_utilization = first.memory,
		.request_cost = (Grpc__Testing__TestOrcaReport__RequestCostEntry *[]){ &cost },
		.n_request_cost = 1,
		.utilization = (Grpc__Testing__TestOrcaReport__UtilizationEntry *[]){ &util },
		.n_utilization = 1,
	};
	Grpc__Testing__SimpleRequest request = { GRPC__TESTING__SIMPLE_REQUEST__FIELDS,
						 .orca_per_query_report = &report };
	struct talk talk;
	bool ok;

	talk_unary(&talk, client, &unary_call, &request.base, NULL);
	ok = ended_with(&talk, MINIRPC_OK);
	if (ok && talk.load == NULL)
		ok = fail_case("no load report in the trailers");
	if (ok && !is_load(talk.load, &first))
		ok = fail_case("another load was reported than the one that was asked for");
	talk_clear(&talk);
	return ok;
}

/* ---- Beside the calls ---- */

static void ask_for(struct talk *duplex, const struct load *load)
{
	Grpc__Testing__TestOrcaReport__UtilizationEntry util = {
		GRPC__TESTING__TEST_ORCA_REPORT__UTILIZATION_ENTRY__FIELDS, .key = (char *)"util",
		.value = load->util
	};
	Grpc__Testing__TestOrcaReport report = {
		GRPC__TESTING__TEST_ORCA_REPORT__FIELDS,
		.cpu_utilization = load->cpu,
		.memory_utilization = load->memory,
		.utilization = (Grpc__Testing__TestOrcaReport__UtilizationEntry *[]){ &util },
		.n_utilization = 1,
	};
	Grpc__Testing__ResponseParameters wanted = { GRPC__TESTING__RESPONSE_PARAMETERS__FIELDS,
						     .size = 1 };
	Grpc__Testing__StreamingOutputCallRequest request = {
		GRPC__TESTING__STREAMING_OUTPUT_CALL_REQUEST__FIELDS,
		.orca_oob_report = &report,
		.response_parameters = (Grpc__Testing__ResponseParameters *[]){ &wanted },
		.n_response_parameters = 1,
	};
	size_t count = duplex->count;

	talk_send(duplex, &request.base);
	talk_hear(duplex, count + 1); /* from now on it is told */
}

/* A report each second; within 30 it is the one that was asked for. */
static bool hears(struct talk *metrics, const struct load *load)
{
	struct load want = *load;

	want.cost = 0; /* a cost belongs to a call */
	for (int i = 0; i < 30 && metrics->wrong == NULL && metrics->call != NULL; i++) {
		talk_hear(metrics, metrics->count + 1);
		if (metrics->last != NULL && is_load((const Load *)metrics->last, &want))
			return true;
	}
	return fail_case("the load that was asked for is not told");
}

static bool orca_oob(struct client *client)
{
	Google__Protobuf__Duration second_long = { GOOGLE__PROTOBUF__DURATION__FIELDS,
						   .seconds = 1 };
	Xds__Service__Orca__V3__OrcaLoadReportRequest request = {
		XDS__SERVICE__ORCA__V3__ORCA_LOAD_REPORT_REQUEST__FIELDS,
		.report_interval = &second_long
	};
	struct talk metrics, duplex;
	bool ok;

	talk_open(&metrics, client, &core_metrics, NULL);
	talk_send(&metrics, &request.base);
	talk_close(&metrics);

	talk_open(&duplex, client, &full_duplex_call, NULL);
	ask_for(&duplex, &first);
	ok = hears(&metrics, &first);
	ask_for(&duplex, &second);
	ok = ok && hears(&metrics, &second);
	talk_close(&duplex);
	talk_end(&duplex);
	ok = ended_with(&duplex, MINIRPC_OK) && ok;
	talk_clear(&duplex);
	talk_clear(&metrics);
	return ok;
}

const struct test_case orca_cases[] = {
	{ "orca_per_rpc", orca_per_rpc },
	{ "orca_oob", orca_oob },
	{ 0 },
};
