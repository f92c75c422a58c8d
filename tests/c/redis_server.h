/* SPDX-License-Identifier: MIT */
/* A Redis of the test's own, with its socket and folder. Header only. */
#ifndef FQ_TESTS_REDIS_SERVER_H
#define FQ_TESTS_REDIS_SERVER_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

static char redis_server_folder[64];
static char redis_server_socket[96];
static uint16_t redis_server_port;
static pid_t redis_server_pid;

/* One that nobody listens on now. */
static inline uint16_t
redis_server_free_port(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    socklen_t len = sizeof(address);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &len), 0);
    close(fd);
    return ntohs(address.sin_port);
}

static inline bool
redis_server_is_there(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool is_there = connect(fd, (struct sockaddr *)&address, sizeof(address))
                    == 0;
    close(fd);
    return is_there;
}

/* It answers at its socket. The file alone is there before it listens. */
static inline bool
redis_server_is_up(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char answer[8];
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strcpy(address.sun_path, redis_server_socket);
    bool is_up = connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0
                 && write(fd, "PING\r\n", 6) == 6
                 && read(fd, answer, sizeof(answer)) > 0 && answer[0] == '+';
    close(fd);
    return is_up;
}

static inline void
redis_server_start(void)
{
    char port[8];
    redis_server_port = redis_server_free_port();
    snprintf(port, sizeof(port), "%u", (unsigned)redis_server_port);
    snprintf(redis_server_folder, sizeof(redis_server_folder),
             "/tmp/fq-redis-XXXXXX");
    assert_non_null(mkdtemp(redis_server_folder));
    snprintf(redis_server_socket, sizeof(redis_server_socket), "%s/s",
             redis_server_folder);
    redis_server_pid = fork();
    if (redis_server_pid == 0) {
        /* One that is left behind keeps nobody who reads the test. */
        if (freopen("/dev/null", "w", stdout) == NULL
            || freopen("/dev/null", "w", stderr) == NULL)
            _exit(126);
        execlp("redis-server", "redis-server", "--port", port, "--bind",
               "127.0.0.1", "--unixsocket", redis_server_socket, "--dir",
               redis_server_folder, "--save", "", NULL);
        _exit(127);
    }
    for (int i = 0; i < 3000 && !redis_server_is_up(); i++)
        usleep(10000);
}

static inline void
redis_server_command(const char *words)
{
    char command[256];
    snprintf(command, sizeof(command), "redis-cli -s %s %s >%s/out",
             redis_server_socket, words, redis_server_folder);
    assert_int_equal(system(command), 0);
}

static inline void
redis_server_stop(void)
{
    char path[112];
    kill(redis_server_pid, SIGKILL);
    waitpid(redis_server_pid, NULL, 0);
    snprintf(path, sizeof(path), "%s/out", redis_server_folder);
    unlink(path);
    unlink(redis_server_socket);
    rmdir(redis_server_folder);
}

#endif
