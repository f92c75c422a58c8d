/* SPDX-License-Identifier: MIT */
/* A load client that must not be the limit: opens N WebSocket connections to
 * a server on this machine, starts one graphql-transport-ws subscription on
 * each, says READY, and then counts deliveries until M have come on every
 * connection. One thread, one epoll, no library; RFC 6455 as far as a client
 * needs it: no extensions, no fragments.
 *
 * A connection that gets each of the integers first .. first + M - 1 once and
 * in order under the key of the payload is in order; everything else is
 * counted by kind and makes the exit code 1. The result is one line of JSON
 * on stdout, faults are sentences on stderr; `load --help` lists the options.
 *
 * Reading is one recv() of up to 256 KiB per wake-up and a walk from frame
 * header to frame header; the key is found by memmem, not by a JSON parser. */
#include <arpa/inet.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* One recv(); more than a socket's receive buffer usually holds. */
#define READ_MAX (256 * 1024)
/* The longest frame, and so the most that a connection keeps between reads. */
#define FRAME_MAX (64 * 1024)
/* The longest request or message that is sent. */
#define SEND_MAX (16 * 1024)
/* Handshakes under way at a time: below any server's listen backlog. */
#define N_OPENING_MAX 64
#define N_EVENTS_MAX 512
#define NS_PER_S 1000000000ull
#define NS_PER_MS 1000000ull

/* The key of RFC 6455 1.3 and the answer it must get. */
#define WS_KEY "dGhlIHNhbXBsZSBub25jZQ=="
#define WS_ACCEPT "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="

enum {
    WS_TEXT = 0x1,
    WS_CLOSE = 0x8,
    WS_PING = 0x9,
    WS_PONG = 0xa,
};

typedef struct options {
    const char *host;
    int port;
    const char *path;
    size_t n_connections;
    size_t n_events; /* per connection */
    const char *query;
    const char *key;      /* of the sequence number; "" = only count */
    const char *time_key; /* of a CLOCK_MONOTONIC time in ns; "" = none */
    int64_t first;        /* the first sequence number */
    double timeout_s;     /* from start to end */
    uint64_t linger_ns;   /* how long to look for deliveries too many */
    bool is_raw;          /* no protocol: texts come after the handshake */
    bool is_held;         /* stay connected until stdin ends */
} options;

typedef enum connection_state {
    CONNECTION_HANDSHAKE, /* the upgrade request is out */
    CONNECTION_INIT,      /* connection_init is out */
    CONNECTION_SUBSCRIBE, /* subscribe is out and behind it a ping */
    CONNECTION_READY,     /* the pong is here: the server has it */
    CONNECTION_CLOSED,
} connection_state;

typedef struct connection {
    int fd;
    connection_state state;
    char *rest; /* the start of a frame whose end has not come */
    size_t rest_len;
    size_t rest_cap;
    size_t n_got;    /* distinct ones of this bench */
    int64_t highest; /* sequence number so far */
    uint8_t *seen;   /* a bit for each of the n_events */
} connection;

typedef struct bench {
    options opt;
    char key[128]; /* `"<key>"` */
    char time_key[128];
    int epoll_fd;
    connection *connections;
    size_t n_opened;
    size_t n_opening; /* opened, but neither ready nor closed */
    size_t n_ready;   /* once, maybe closed since */
    size_t n_ended;   /* with all events, or closed before that */
    uint64_t start_ns;
    uint64_t ready_ns;
    uint64_t first_ns; /* of the first delivery */
    uint64_t last_ns;  /* of the one that completed the last connection */
    uint64_t deadline_ns;
    uint64_t now_ns; /* after the latest recv() */
    uint64_t *latencies_ns;
    size_t n_latencies;
    size_t n_deliveries;
    size_t n_bytes; /* on the wire, with frame headers, since READY */
    size_t n_duplicated;
    size_t n_reordered;
    size_t n_unexpected; /* outside first .. first + n_events - 1 */
    size_t n_keyless;    /* deliveries without the key */
    size_t n_closed;     /* connections the server ended */
    char buf[FRAME_MAX + READ_MAX];
} bench;

static bench the_bench;

static uint64_t
now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

static void *
checked(void *block)
{
    if (block == NULL) {
        fprintf(stderr, "load: out of memory\n");
        exit(2);
    }
    return block;
}

/* -- sending -------------------------------------------------------------- */

/* What is sent fits an empty socket buffer; a short write is an error. */
static bool
connection_send(connection *c, const char *bytes, size_t len)
{
    ssize_t n = send(c->fd, bytes, len, MSG_NOSIGNAL);
    return n == (ssize_t)len;
}

/* Appends a masked frame (RFC 6455 5.2; any mask is legal) and returns its
 * length. */
static size_t
frame_write(char *out, int opcode, const char *payload, size_t len)
{
    static const unsigned char mask[4] = {0x3d, 0xa6, 0x19, 0x72};
    size_t n = 0;
    out[n++] = (char)(0x80 | opcode);
    if (len < 126) {
        out[n++] = (char)(0x80 | len);
    } else {
        out[n++] = (char)(0x80 | 126);
        out[n++] = (char)(len >> 8);
        out[n++] = (char)len;
    }
    memcpy(out + n, mask, sizeof(mask));
    n += sizeof(mask);
    for (size_t i = 0; i < len; i++)
        out[n + i] = (char)((unsigned char)payload[i] ^ mask[i % 4]);
    return n + len;
}

static bool
connection_send_upgrade(bench *b, connection *c)
{
    char request[2048];
    int len = snprintf(request, sizeof(request),
                       "GET %s HTTP/1.1\r\n"
                       "Host: %s:%d\r\n"
                       "Upgrade: websocket\r\n"
                       "Connection: Upgrade\r\n"
                       "Sec-WebSocket-Key: " WS_KEY "\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Protocol: graphql-transport-ws\r\n\r\n",
                       b->opt.path, b->opt.host, b->opt.port);
    return len < (int)sizeof(request)
           && connection_send(c, request, (size_t)len);
}

static bool
connection_send_init(connection *c)
{
    static const char init[] = "{\"type\":\"connection_init\"}";
    char frame[64];
    size_t len = frame_write(frame, WS_TEXT, init, sizeof(init) - 1);
    return connection_send(c, frame, len);
}

/* |text| as the inside of a JSON string; it is known to fit. */
static size_t
json_escape(char *out, const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        if ((unsigned char)*text < 0x20) {
            n += (size_t)sprintf(out + n, "\\u%04x", (unsigned)*text);
            continue;
        }
        if (*text == '"' || *text == '\\')
            out[n++] = '\\';
        out[n++] = *text;
    }
    out[n] = '\0';
    return n;
}

/* |query| with the number of the connection for the first %d, if it has one;
 * 24 bytes more than |query| suffice. */
static void
query_of(char *out, const char *query, size_t number)
{
    const char *mark = strstr(query, "%d");
    if (mark == NULL)
        strcpy(out, query);
    else
        sprintf(out, "%.*s%zu%s", (int)(mark - query), query, number,
                mark + 2);
}

/* A subscribe has no answer; so a ping follows it, and the pong, which a
 * server that keeps the order sends afterwards, says that it was read. */
static bool
connection_send_subscribe(bench *b, connection *c)
{
    static const char ping[] = "{\"type\":\"ping\"}";
    char query[SEND_MAX / 2], message[SEND_MAX / 2 + 128], frames[SEND_MAX];
    char own[SEND_MAX / 2 / 6 + 24];
    query_of(own, b->opt.query, (size_t)(c - b->connections));
    json_escape(query, own);
    int message_len = snprintf(message, sizeof(message),
                               "{\"id\":\"1\",\"type\":\"subscribe\","
                               "\"payload\":{\"query\":\"%s\"}}",
                               query);
    size_t len = frame_write(frames, WS_TEXT, message, (size_t)message_len);
    len += frame_write(frames + len, WS_TEXT, ping, sizeof(ping) - 1);
    return connection_send(c, frames, len);
}

/* -- opening -------------------------------------------------------------- */

static void
connection_close(bench *b, connection *c)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    if (c->fd >= 0) {
        epoll_ctl(b->epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
        close(c->fd);
    }
    c->fd = -1;
    c->state = CONNECTION_CLOSED;
}

/* Ends a connection that went wrong; the first few say why. */
static void
connection_fail(bench *b, connection *c, const char *why)
{
    if (c->state == CONNECTION_CLOSED)
        return;
    if (c->state != CONNECTION_READY)
        b->n_opening--;
    if (c->n_got < b->opt.n_events)
        b->n_ended++;
    if (b->n_closed++ < 5)
        fprintf(stderr, "load: connection %td in state %d: %s\n",
                c - b->connections, (int)c->state, why);
    connection_close(b, c);
}

/* connect() on loopback ends at once; a server that does not accept is met
 * by the timeout. */
static bool
connection_connect(bench *b, connection *c)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_port = htons((uint16_t)b->opt.port);
    if (inet_pton(AF_INET, b->opt.host, &address.sin_addr) != 1)
        return false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        return false;
    struct timeval wait = {.tv_sec = (time_t)b->opt.timeout_s + 1};
    int one = 1;
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    if (connect(c->fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        return false;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    return epoll_ctl(b->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) == 0;
}

static void
bench_open_one(bench *b)
{
    connection *c = &b->connections[b->n_opened++];
    b->n_opening++;
    c->state = CONNECTION_HANDSHAKE;
    c->highest = b->opt.first - 1;
    c->seen = checked(calloc(b->opt.n_events / 8 + 1, 1));
    if (!connection_connect(b, c))
        connection_fail(b, c, strerror(errno));
    else if (!connection_send_upgrade(b, c))
        connection_fail(b, c, "the upgrade request could not be sent");
}

static void
bench_open_more(bench *b)
{
    while (b->n_opened < b->opt.n_connections && b->n_opening < N_OPENING_MAX)
        bench_open_one(b);
}

/* READY on stdout tells whoever started this that events may come. */
static void
connection_become_ready(bench *b, connection *c)
{
    c->state = CONNECTION_READY;
    b->n_opening--;
    b->n_ready++;
    if (b->n_ready < b->opt.n_connections)
        return;
    b->ready_ns = now_ns();
    printf("READY\n");
    fflush(stdout);
}

/* -- deliveries ----------------------------------------------------------- */

/* The integer behind `"key"` and its colon; false when there is none. */
static bool
text_find_int(const char *text, size_t len, const char *key, int64_t *pvalue)
{
    size_t key_len = strlen(key);
    const char *p = memmem(text, len, key, key_len);
    *pvalue = 0;
    if (p == NULL)
        return false;
    const char *end = text + len;
    p += key_len;
    while (p < end && (*p == ' ' || *p == ':'))
        p++;
    bool is_negative = p < end && *p == '-';
    if (is_negative)
        p++;
    const char *digits = p;
    int64_t value = 0;
    for (; p < end && *p >= '0' && *p <= '9' && p - digits < 18; p++)
        value = value * 10 + (*p - '0');
    *pvalue = is_negative ? -value : value;
    return p > digits;
}

/* True when the text is a message of |type| (`"next"`, quotes included). */
static bool
text_is_type(const char *text, size_t len, const char *type)
{
    const char *p = memmem(text, len, "\"type\"", 6);
    if (p == NULL)
        return false;
    const char *end = text + len;
    p += 6;
    while (p < end && (*p == ' ' || *p == ':'))
        p++;
    size_t type_len = strlen(type);
    return (size_t)(end - p) >= type_len && memcmp(p, type, type_len) == 0;
}

/* Counts one more distinct delivery of |c|. */
static void
connection_count(bench *b, connection *c)
{
    if (++c->n_got < b->opt.n_events)
        return;
    b->n_ended++;
    b->last_ns = b->now_ns;
}

static void
connection_check_order(bench *b, connection *c, int64_t seq)
{
    int64_t index = seq - b->opt.first;
    if (index < 0 || index >= (int64_t)b->opt.n_events) {
        b->n_unexpected++;
        return;
    }
    uint8_t bit = (uint8_t)(1u << (index % 8));
    if (c->seen[index / 8] & bit) {
        b->n_duplicated++;
        return;
    }
    c->seen[index / 8] |= bit;
    if (seq < c->highest)
        b->n_reordered++;
    else
        c->highest = seq;
    connection_count(b, c);
}

static void
connection_deliver(bench *b, connection *c, const char *text, size_t len)
{
    int64_t value;
    if (b->n_deliveries++ == 0)
        b->first_ns = b->now_ns;
    if (b->opt.time_key[0] != '\0'
        && text_find_int(text, len, b->time_key, &value)
        && b->n_latencies < b->opt.n_connections * b->opt.n_events)
        b->latencies_ns[b->n_latencies++] = b->now_ns - (uint64_t)value;
    if (b->opt.key[0] == '\0') {
        if (c->n_got == b->opt.n_events)
            b->n_unexpected++;
        else
            connection_count(b, c);
    } else if (text_find_int(text, len, b->key, &value)) {
        connection_check_order(b, c, value);
    } else if (b->n_keyless++ < 5) {
        fprintf(stderr, "load: no key in: %.*s\n", (int)len, text);
    }
}

/* -- messages ------------------------------------------------------------- */

static void
connection_text(bench *b, connection *c, const char *text, size_t len)
{
    if (b->opt.is_raw || text_is_type(text, len, "\"next\"")) {
        connection_deliver(b, c, text, len);
    } else if (c->state == CONNECTION_INIT
               && text_is_type(text, len, "\"connection_ack\"")) {
        c->state = CONNECTION_SUBSCRIBE;
        if (!connection_send_subscribe(b, c))
            connection_fail(b, c, "subscribe could not be sent");
    } else if (c->state == CONNECTION_SUBSCRIBE
               && text_is_type(text, len, "\"pong\"")) {
        connection_become_ready(b, c);
    } else if (text_is_type(text, len, "\"ping\"")) {
        static const char pong[] = "{\"type\":\"pong\"}";
        char frame[64];
        size_t n = frame_write(frame, WS_TEXT, pong, sizeof(pong) - 1);
        if (!connection_send(c, frame, n))
            connection_fail(b, c, "pong could not be sent");
    } else {
        char why[512];
        snprintf(why, sizeof(why), "the server sent %.*s",
                 len < 400 ? (int)len : 400, text);
        connection_fail(b, c, why);
    }
}

static void
connection_frame(bench *b, connection *c, int opcode, const char *payload,
                 size_t len)
{
    char text[256];
    switch (opcode) {
    case WS_TEXT:
        connection_text(b, c, payload, len);
        return;
    case WS_PING:
        if (!connection_send(c, text,
                             frame_write(text, WS_PONG, payload, len)))
            connection_fail(b, c, "a pong could not be sent");
        return;
    case WS_PONG:
        return;
    case WS_CLOSE:
        snprintf(text, sizeof(text), "the server closed with %u %.*s",
                 len < 2 ? 1005u
                         : (unsigned)(unsigned char)payload[0] << 8
                               | (unsigned char)payload[1],
                 len < 2 ? 0 : (int)len - 2, len < 2 ? "" : payload + 2);
        connection_fail(b, c, text);
        return;
    default:
        connection_fail(b, c, "a frame that this client does not know");
    }
}

/* Takes the upgrade response off the front of the bytes; 0 while it is not
 * complete. */
static size_t
connection_handshake(bench *b, connection *c, const char *bytes, size_t len)
{
    const char *end = memmem(bytes, len, "\r\n\r\n", 4);
    if (end == NULL)
        return 0;
    size_t n = (size_t)(end - bytes) + 4;
    if (n < 12 || memcmp(bytes + 9, "101", 3) != 0
        || memmem(bytes, n, WS_ACCEPT, strlen(WS_ACCEPT)) == NULL) {
        char why[128];
        const char *line_end = memchr(bytes, '\r', n);
        int line_len = (int)(line_end - bytes);
        snprintf(why, sizeof(why), "no upgrade: %.*s",
                 line_len < 90 ? line_len : 90, bytes);
        connection_fail(b, c, why);
    } else if (b->opt.is_raw) {
        connection_become_ready(b, c);
    } else {
        c->state = CONNECTION_INIT;
        if (!connection_send_init(c))
            connection_fail(b, c, "connection_init could not be sent");
    }
    return n;
}

/* The bytes of the header of an unmasked frame, and *plen those of its
 * payload; 0 while they have not all come. */
static size_t
frame_header(const unsigned char *p, size_t n_left, size_t *plen)
{
    *plen = 0;
    if (n_left < 2)
        return 0;
    size_t head_len = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
    if (n_left < head_len)
        return 0;
    if (head_len == 2) {
        *plen = p[1];
        return head_len;
    }
    for (size_t i = 2; i < head_len; i++)
        *plen = *plen << 8 | p[i];
    return head_len;
}

/* Handles every whole frame of |len| bytes; returns how many were used. */
static size_t
connection_walk(bench *b, connection *c, const char *bytes, size_t len)
{
    size_t pos = 0;
    if (c->state == CONNECTION_HANDSHAKE) {
        pos = connection_handshake(b, c, bytes, len);
        if (pos == 0)
            return 0;
    }
    while (c->state != CONNECTION_CLOSED) {
        size_t payload_len;
        const unsigned char *p = (const unsigned char *)bytes + pos;
        size_t head_len = frame_header(p, len - pos, &payload_len);
        if (payload_len > FRAME_MAX - 16) {
            connection_fail(b, c, "a frame is masked or too long");
            break;
        }
        if (head_len == 0 || payload_len > len - pos - head_len)
            break;
        connection_frame(b, c, p[0] == (0x80 | (p[0] & 0xf)) ? p[0] & 0xf : 0,
                         bytes + pos + head_len, payload_len);
        pos += head_len + payload_len;
    }
    return pos;
}

static void
connection_keep(connection *c, const char *bytes, size_t len)
{
    if (len > c->rest_cap) {
        c->rest = checked(realloc(c->rest, len));
        c->rest_cap = len;
    }
    if (len > 0)
        memcpy(c->rest, bytes, len);
    c->rest_len = len;
}

static void
connection_read(bench *b, connection *c)
{
    if (c->rest_len > 0)
        memcpy(b->buf, c->rest, c->rest_len);
    ssize_t n = recv(c->fd, b->buf + c->rest_len, READ_MAX, MSG_DONTWAIT);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        connection_fail(b, c, n == 0 ? "the server hung up" : strerror(errno));
        return;
    }
    b->now_ns = now_ns();
    if (b->ready_ns != 0)
        b->n_bytes += (size_t)n;
    size_t len = c->rest_len + (size_t)n;
    size_t n_used = connection_walk(b, c, b->buf, len);
    if (c->state == CONNECTION_CLOSED)
        return;
    if (len - n_used > FRAME_MAX)
        connection_fail(b, c, "a frame or response is too long");
    else
        connection_keep(c, b->buf + n_used, len - n_used);
}

/* -- the bench ------------------------------------------------------------ */

/* Waits at most until |deadline_ns| and handles what came; false when it is
 * past. */
static bool
bench_step(bench *b, uint64_t deadline_ns)
{
    uint64_t now = now_ns();
    if (now >= deadline_ns)
        return false;
    struct epoll_event events[N_EVENTS_MAX];
    int wait_ms = (int)((deadline_ns - now) / NS_PER_MS) + 1;
    int n = epoll_wait(b->epoll_fd, events, N_EVENTS_MAX, wait_ms);
    for (int i = 0; i < n; i++) {
        connection *c = events[i].data.ptr;
        if (c->state != CONNECTION_CLOSED)
            connection_read(b, c);
    }
    return true;
}

/* Until every connection has all or is closed, or the time is up. One that
 * cannot even subscribe ends it at once: READY could never be said. */
static void
bench_run(bench *b)
{
    bench_open_more(b);
    while (b->n_ended < b->opt.n_connections) {
        if (b->n_closed > 0 && b->ready_ns == 0)
            return;
        if (!bench_step(b, b->deadline_ns)) {
            fprintf(stderr, "load: timeout: of %zu connections %zu ready\n",
                    b->opt.n_connections, b->n_ready);
            return;
        }
        bench_open_more(b);
    }
    uint64_t until_ns = now_ns() + b->opt.linger_ns;
    while (bench_step(b, until_ns))
        ;
}

static int
latency_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static double
latency_us(const bench *b, double quantile)
{
    size_t index = (size_t)((double)(b->n_latencies - 1) * quantile);
    return (double)b->latencies_ns[index] / 1e3;
}

/* Prints the result; true when every delivery came once and in order. */
static bool
bench_report(bench *b)
{
    size_t n_got = 0;
    for (size_t i = 0; i < b->opt.n_connections; i++)
        n_got += b->connections[i].n_got;
    size_t n_missing = b->opt.n_connections * b->opt.n_events - n_got;
    double seconds = b->last_ns > b->first_ns
                         ? (double)(b->last_ns - b->first_ns) / 1e9
                         : 0;
    printf("{\"connections\": %zu, \"deliveries\": %zu, "
           "\"seconds_first_to_last\": %.6f, \"deliveries_per_s\": %.0f, "
           "\"connect_seconds\": %.6f, \"bytes\": %zu, "
           "\"first_ns\": %" PRIu64 ", \"last_ns\": %" PRIu64 ", ",
           b->n_ready, b->n_deliveries, seconds,
           seconds > 0 ? (double)b->n_deliveries / seconds : 0,
           b->ready_ns != 0 ? (double)(b->ready_ns - b->start_ns) / 1e9 : 0,
           b->n_bytes, b->first_ns, b->last_ns);
    if (b->n_latencies > 0) {
        qsort(b->latencies_ns, b->n_latencies, sizeof(*b->latencies_ns),
              latency_compare);
        printf("\"latency_p50_us\": %.1f, \"latency_p90_us\": %.1f, "
               "\"latency_p99_us\": %.1f, \"latency_max_us\": %.1f, ",
               latency_us(b, 0.5), latency_us(b, 0.9), latency_us(b, 0.99),
               latency_us(b, 1));
    }
    printf("\"missing\": %zu, \"duplicated\": %zu, \"reordered\": %zu, "
           "\"unexpected\": %zu, \"keyless\": %zu, \"closed\": %zu}\n",
           n_missing, b->n_duplicated, b->n_reordered, b->n_unexpected,
           b->n_keyless, b->n_closed);
    return n_missing + b->n_duplicated + b->n_reordered + b->n_unexpected
               + b->n_keyless + b->n_closed
           == 0;
}

static void
bench_start(bench *b)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
    snprintf(b->key, sizeof(b->key), "\"%s\"", b->opt.key);
    snprintf(b->time_key, sizeof(b->time_key), "\"%s\"", b->opt.time_key);
    b->connections = checked(
        calloc(b->opt.n_connections, sizeof(*b->connections)));
    if (b->opt.time_key[0] != '\0')
        b->latencies_ns = checked(
            calloc(b->opt.n_connections * b->opt.n_events, sizeof(uint64_t)));
    b->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    b->start_ns = now_ns();
    b->deadline_ns = b->start_ns + (uint64_t)(b->opt.timeout_s * 1e9);
}

static void
bench_end(bench *b)
{
    for (size_t i = 0; i < b->n_opened; i++) {
        connection_close(b, &b->connections[i]);
        free(b->connections[i].rest);
        free(b->connections[i].seen);
    }
    close(b->epoll_fd);
    free(b->connections);
    free(b->latencies_ns);
}

/* -- options -------------------------------------------------------------- */

static const char usage[]
    = "load: counts deliveries of graphql-transport-ws subscriptions\n"
      "  --port PORT         of the server on this machine (required)\n"
      "  --host ADDRESS      its IPv4 address (127.0.0.1)\n"
      "  --path PATH         (/)\n"
      "  --connections N     each with one subscription (1000)\n"
      "  --events M          expected on each connection (200)\n"
      "  --query TEXT        (subscription { tick }); %d is the number of "
      "the\n"
      "                      connection, from 0\n"
      "  --key NAME          of the sequence number in the payload (seq);\n"
      "                      \"\" only counts\n"
      "  --first K           the first sequence number (0)\n"
      "  --time-key NAME     of the sender's CLOCK_MONOTONIC in ns (none)\n"
      "  --timeout SECONDS   for everything (60)\n"
      "  --linger MS         waited for deliveries too many (100)\n"
      "  --raw               no subprotocol: count texts after the upgrade\n"
      "  --hold              after the result stay connected until stdin "
      "ends\n"
      "Prints READY when all have subscribed, then one line of JSON. Exit\n"
      "code 1: a delivery is missing, twice, out of order, or a connection\n"
      "was lost.\n";

static const struct option long_options[] = {
    {"port", required_argument, NULL, 'p'},
    {"host", required_argument, NULL, 'h'},
    {"path", required_argument, NULL, 'u'},
    {"connections", required_argument, NULL, 'n'},
    {"events", required_argument, NULL, 'm'},
    {"query", required_argument, NULL, 'q'},
    {"key", required_argument, NULL, 'k'},
    {"first", required_argument, NULL, 'f'},
    {"time-key", required_argument, NULL, 't'},
    {"timeout", required_argument, NULL, 'x'},
    {"linger", required_argument, NULL, 'l'},
    {"raw", no_argument, NULL, 'r'},
    {"hold", no_argument, NULL, 'd'},
    {"help", no_argument, NULL, '?'},
    {NULL, 0, NULL, 0},
};

static bool
options_set(options *opt, int name, const char *value)
{
    switch (name) {
    case 'p':
        opt->port = atoi(value);
        return opt->port > 0 && opt->port < 65536;
    case 'h':
        opt->host = value;
        return true;
    case 'u':
        opt->path = value;
        return strlen(value) < 1024;
    case 'n':
        opt->n_connections = strtoul(value, NULL, 10);
        return opt->n_connections > 0 && opt->n_connections <= 1000000;
    case 'm':
        opt->n_events = strtoul(value, NULL, 10);
        return opt->n_events > 0 && opt->n_events <= 100000000;
    case 'q':
        opt->query = value;
        return strlen(value) < SEND_MAX / 2 / 6; /* escaped at worst */
    case 'k':
        opt->key = value;
        return strlen(value) < 100;
    case 'f':
        opt->first = atoll(value);
        return true;
    case 't':
        opt->time_key = value;
        return strlen(value) < 100;
    case 'x':
        opt->timeout_s = atof(value);
        return opt->timeout_s > 0 && opt->timeout_s < 1e6;
    case 'l':
        opt->linger_ns = strtoul(value, NULL, 10) * NS_PER_MS;
        return true;
    case 'r':
        opt->is_raw = true;
        return true;
    case 'd':
        opt->is_held = true;
        return true;
    default:
        return false;
    }
}

static bool
options_read(options *opt, int argc, char **argv)
{
    *opt = (options){
        .host = "127.0.0.1",
        .path = "/",
        .n_connections = 1000,
        .n_events = 200,
        .query = "subscription { tick }",
        .key = "seq",
        .time_key = "",
        .timeout_s = 60,
        .linger_ns = 100 * NS_PER_MS,
    };
    int name;
    while ((name = getopt_long(argc, argv, "", long_options, NULL)) != -1) {
        if (!options_set(opt, name, optarg))
            return false;
    }
    return optind == argc && opt->port != 0;
}

/* Lets a driver read the server's counters before 1,000 disconnects add to
 * them. */
static void
wait_for_end_of_stdin(void)
{
    char c;
    while (read(STDIN_FILENO, &c, 1) > 0)
        ;
}

int
main(int argc, char **argv)
{
    bench *b = &the_bench;
    if (!options_read(&b->opt, argc, argv)) {
        fputs(usage, stderr);
        return 2;
    }
    bench_start(b);
    bench_run(b);
    bool is_fine = bench_report(b);
    fflush(stdout);
    if (b->opt.is_held)
        wait_for_end_of_stdin();
    bench_end(b);
    return is_fine ? 0 : 1;
}
