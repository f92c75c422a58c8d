/* SPDX-License-Identifier: MIT */
/* An intrusive doubly linked list: a ring through a head node. A node not in
 * any list points to itself, so removing twice is harmless. One thread at a
 * time. Header only: every function is a few stores. */
#ifndef FQ_BASE_LIST_H
#define FQ_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

typedef struct fq_list {
    struct fq_list *next;
    struct fq_list *prev;
} fq_list;

#define FQ_CONTAINER_OF(pointer, type, member)                                \
    ((type *)((char *)(pointer) - offsetof(type, member)))

/* Walks |list|; the current node may be removed (and freed) in the body. */
#define FQ_LIST_FOREACH(node, list)                                           \
    for (fq_list *node = (list)->next, *node##_next = node->next;             \
         node != (list); node = node##_next, node##_next = node->next)

static inline void
fq_list_init(fq_list *node)
{
    node->next = node->prev = node;
}

static inline bool
fq_list_is_empty(const fq_list *list)
{
    return list->next == list;
}

static inline void
fq_list_push_back(fq_list *list, fq_list *node)
{
    node->prev = list->prev;
    node->next = list;
    list->prev->next = node;
    list->prev = node;
}

static inline void
fq_list_remove(fq_list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    fq_list_init(node);
}

/* The first node, taken out, or NULL when empty. */
static inline fq_list *
fq_list_pop_front(fq_list *list)
{
    fq_list *node = list->next;
    if (node == list)
        return NULL;
    fq_list_remove(node);
    return node;
}

/* Moves all nodes of |from| to the end of |to|; |from| becomes empty. */
static inline void
fq_list_splice(fq_list *to, fq_list *from)
{
    if (fq_list_is_empty(from))
        return;
    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;
    fq_list_init(from);
}

#endif
