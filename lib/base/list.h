/* SPDX-License-Identifier: MIT */
/* Doubly linked, circular, intrusive list. A zeroed node is in no list. */
#ifndef MRPC_BASE_LIST_H
#define MRPC_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

struct mrpc_list {
	struct mrpc_list *next, *prev;
};

/* The struct that holds this node. */
#define mrpc_container(node, type, member) ((type *)(void *)((char *)(node)-offsetof(type, member)))

static inline void mrpc_list_init(struct mrpc_list *list)
{
	list->next = list->prev = list;
}

static inline bool mrpc_list_is_empty(const struct mrpc_list *list)
{
	return list->next == list;
}

static inline bool mrpc_list_is_linked(const struct mrpc_list *node)
{
	return node->next != NULL;
}

static inline void mrpc_list_push(struct mrpc_list *list, struct mrpc_list *node) /* at the tail */
{
	node->next = list;
	node->prev = list->prev;
	list->prev->next = node;
	list->prev = node;
}

static inline void mrpc_list_remove(struct mrpc_list *node) /* harmless when in no list */
{
	if (node->next == NULL)
		return;
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

static inline struct mrpc_list *
mrpc_list_pop(struct mrpc_list *list) /* from the head; NULL when empty */
{
	struct mrpc_list *node = list->next;

	if (node == list)
		return NULL;
	mrpc_list_remove(node);
	return node;
}

/* All of `from` go to the head of `to`, in their order. */
static inline void mrpc_list_move_all(struct mrpc_list *to, struct mrpc_list *from)
{
	if (mrpc_list_is_empty(from))
		return;
	from->prev->next = to->next;
	to->next->prev = from->prev;
	to->next = from->next;
	from->next->prev = to;
	mrpc_list_init(from);
}

#endif
