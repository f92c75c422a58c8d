/* SPDX-License-Identifier: MIT */
/* What one filter costs: to compile, to bind for a subscription, and to
 * evaluate for an event of 10 members. Prints the median over samples of 1,000
 * calls each and the bytes of one binding. benches/bench_filter.py builds and
 * runs it. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "engine/filter/filter.h"
#include "json/reader.h"

#define CALLS 1000
#define SAMPLES 301

static uint64_t
now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static int
compare_doubles(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static const char event_text[]
    = "{\"id\":\"order-000042\",\"state\":\"open\",\"note\":\"a longer text\","
      "\"vip\":false,\"n\":17,\"tags\":[\"a\",\"b\",\"c\"],"
      "\"customer\":{\"name\":\"Alice\",\"region\":\"eu\"},\"x\":null,"
      "\"total\":99.5,\"tenant_id\":\"tenant-7\"}";

static const char args_text[] = "{\"id\":\"order-000042\",\"min_total\":10,"
                                "\"ids\":[\"a\",\"b\",\"order-000042\"]}";

#define EVENT(key) "{\"event\":[\"" key "\"]}"
#define TENANT "[\"==\"," EVENT("tenant_id") ",{\"ctx\":[\"tenant_id\"]}]"
#define TOTAL "[\">=\"," EVENT("total") ",{\"arg\":[\"min_total\"]}]"
#define REGION                                                                \
    "[\"==\",{\"event\":[\"customer\",\"region\"]},{\"const\":\"eu\"}]"
#define STATE "[\"in\"," EVENT("state") ",{\"const\":[\"new\",\"open\"]}]"

static const struct {
    const char *name;
    const char *ir;
} filters[] = {
    {"event.id == arg.id", "[\"==\"," EVENT("id") ",{\"arg\":[\"id\"]}]"},
    {"event(\"$type\") == \"t\"",
     "[\"==\",{\"envelope\":\"type\"},{\"const\":\"t\"}]"},
    {"event.customer.region == \"eu\"", REGION},
    {"event.id.in_(arg.ids)", "[\"in\"," EVENT("id") ",{\"arg\":[\"ids\"]}]"},
    {"event.note.contains(\"text\")",
     "[\"contains\"," EVENT("note") ",{\"const\":\"text\"}]"},
    {"tenant and total, both hold", "[\"and\"," TENANT "," TOTAL "]"},
    {"six comparisons, all hold",
     "[\"and\"," TENANT "," TOTAL "," REGION "," STATE ","
     "[\"not\",[\"==\"," EVENT("vip") ",{\"const\":true}]],"
                                      "[\"contains\"," EVENT(
                                          "tags") ",{\"const\":\"c\"}]]"},
};

typedef struct inputs {
    yyjson_val *ir;
    yyjson_val *args;
    fq_security_context *context;
    fq_event *event;
    fq_filter *filter;
    fq_filter_bound *bound;
} inputs;

static unsigned long n_passed;

static void
run_compile(inputs *self)
{
    fq_filter *filter;
    if (fq_filter_compile(self->ir, &filter, NULL) != FQ_OK)
        abort();
    fq_filter_unref(filter);
}

static void
run_bind(inputs *self)
{
    fq_filter_bound *bound;
    if (fq_filter_bind(self->filter, self->args, self->context, &bound)
        != FQ_OK)
        abort();
    fq_filter_bound_unref(bound);
}

static void
run_eval(inputs *self)
{
    n_passed += fq_filter_eval(self->bound, self->event);
}

/* Nanoseconds of one call, the median. */
static double
measure(void (*run)(inputs *self), inputs *self)
{
    static double samples[SAMPLES];
    for (size_t i = 0; i < SAMPLES; i++) {
        uint64_t start = now_ns();
        for (size_t j = 0; j < CALLS; j++)
            run(self);
        samples[i] = (double)(now_ns() - start) / CALLS;
    }
    qsort(samples, SAMPLES, sizeof(double), compare_doubles);
    return samples[SAMPLES / 2];
}

static yyjson_doc *
read_json(const char *text)
{
    yyjson_doc *doc;
    if (fq_json_read(fq_str_of(text), FQ_JSON_STRICT, &doc, NULL) != FQ_OK)
        abort();
    return doc;
}

static void
report(const char *name, const char *ir, inputs *self)
{
    yyjson_doc *doc = read_json(ir);
    self->ir = yyjson_doc_get_root(doc);
    if (fq_filter_compile(self->ir, &self->filter, NULL) != FQ_OK
        || fq_filter_bind(self->filter, self->args, self->context,
                          &self->bound)
               != FQ_OK)
        abort();
    double compile = measure(run_compile, self);
    double bind = measure(run_bind, self);
    double eval = measure(run_eval, self);
    printf("%-32s compile %6.0f ns  bind %5.0f ns  %4zu bytes  eval %6.1f "
           "ns\n",
           name, compile, bind, fq_filter_bound_n_bytes(self->bound), eval);
    fq_filter_bound_unref(self->bound);
    fq_filter_unref(self->filter);
    fq_json_free(doc);
}

int
main(void)
{
    inputs self = {0};
    yyjson_doc *args = read_json(args_text);
    self.args = yyjson_doc_get_root(args);
    const fq_security_context_args who = {
        .user_id = FQ_STR("u"),
        .tenant_id = FQ_STR("tenant-7"),
    };
    if (fq_security_context_new(&who, &self.context) != FQ_OK
        || fq_event_new(FQ_STR_LIT("orders"), FQ_STR_LIT("t"),
                        fq_str_of(event_text), 0, 0, &self.event, NULL)
               != FQ_OK)
        abort();
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++)
        report(filters[i].name, filters[i].ir, &self);
    fq_event_unref(self.event);
    fq_security_context_unref(self.context);
    fq_json_free(args);
    return n_passed == 0;
}
