/*
 * Sends requests at a fixed rate, whatever the answers do (an open loop), and says how long each took.
 *
 *   pace 127.0.0.1:6188 /one/bench BODY_BYTES RATE SECONDS CONNECTIONS
 *
 * Request i is due at i/RATE. It goes to any connection that is free; when none is, it waits. Its time counts from
 * when it was due, so a proxy that stalls pays for the requests that had to wait meanwhile (no coordinated
 * omission). At the end one line is printed, times in microseconds:
 *
 *   requests 20000 bad 0 took 2000123 p50 102 p99 340 p999 812
 *
 * An answer is bad when it is not a 200. BODY_BYTES are expected after each head. Answers that have not come five
 * seconds after the last request was due, and lost connections, end it with exit code 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, ANSWER_BYTES = 16 * 1024 };

struct connection {
	int fd;
	int64_t due; /* of the request under way */
	size_t received;
	char answer[ANSWER_BYTES];
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static int64_t nanoseconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000000000) + now.tv_nsec;
}

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[16];
	unsigned short port;

	if (sscanf(text, "%15[0-9.]:%hu", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		fprintf(stderr, "pace: %s is no address such as 127.0.0.1:6188\n", text);
		exit(2);
	}
	address.sin_port = htons(port);
	return address;
}

static struct connection *connect_all(int epoll, const struct sockaddr_in *address, int count)
{
	struct connection *all = calloc((size_t)count, sizeof *all);
	if (!all)
		die("pace: calloc");
	for (int i = 0; i < count; i++) {
		int on = 1;
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
		all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (all[i].fd < 0 || connect(all[i].fd, (const struct sockaddr *)address, sizeof *address) < 0 ||
		    epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
			die("pace: connect");
		setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	}
	return all;
}

/* Reads; 1 when the answer is whole, -1 when whole and bad, 0 when more must come. */
static int receive(struct connection *connection, size_t body_bytes)
{
	ssize_t length = recv(connection->fd, connection->answer + connection->received,
			      ANSWER_BYTES - connection->received, MSG_DONTWAIT);
	if (length < 0 && errno == EAGAIN)
		return 0;
	if (length <= 0)
		die("pace: a connection was lost");
	connection->received += (size_t)length;
	char *end = memmem(connection->answer, connection->received, "\r\n\r\n", 4);
	if (!end || connection->received < (size_t)(end + 4 - connection->answer) + body_bytes)
		return 0;
	connection->received = 0;
	return memcmp(connection->answer, "HTTP/1.1 200", 12) == 0 ? 1 : -1;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void report(int64_t *times, long total, long bad, int64_t took)
{
	qsort(times, (size_t)total, sizeof *times, ascending);
	printf("requests %ld bad %ld took %lld p50 %lld p99 %lld p999 %lld\n", total, bad, (long long)took / 1000,
	       (long long)times[total / 2] / 1000, (long long)times[total * 99 / 100] / 1000,
	       (long long)times[total * 999 / 1000] / 1000);
}

static void wait_until(int epoll, int64_t due, struct epoll_event *events, int *ready)
{
	int64_t left = due - nanoseconds();
	if (left < 0)
		left = 0;
	struct timespec time = {.tv_sec = left / 1000000000, .tv_nsec = left % 1000000000};
	*ready = epoll_pwait2(epoll, events, EVENTS, &time, NULL);
	if (*ready < 0 && errno != EINTR)
		die("pace: epoll_pwait2");
}

int main(int count, char **arguments)
{
	if (count != 7) {
		fprintf(stderr, "usage: pace ADDRESS PATH BODY_BYTES RATE SECONDS CONNECTIONS\n");
		return 2;
	}
	size_t body_bytes = (size_t)atol(arguments[3]);
	double rate = atof(arguments[4]);
	int connections = atoi(arguments[6]);
	long total = (long)(rate * atof(arguments[5])), next = 0, done = 0, bad = 0;
	if (total < 1 || connections < 1) {
		fprintf(stderr, "pace: RATE, SECONDS and CONNECTIONS must be positive\n");
		return 2;
	}
	char request[512];
	int request_bytes = snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", arguments[2], arguments[1]);
	struct sockaddr_in address = parse_address(arguments[1]);
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	prctl(PR_SET_TIMERSLACK, 1UL);
	struct connection *all = connect_all(epoll, &address, connections);
	struct connection **idle = calloc((size_t)connections, sizeof(struct connection *));
	int64_t *times = calloc((size_t)total, sizeof *times);
	if (epoll < 0 || !idle || !times)
		die("pace: start");
	int free_ones = 0;
	while (free_ones < connections) {
		idle[free_ones] = &all[free_ones];
		free_ones++;
	}

	struct epoll_event events[EVENTS];
	int64_t start = nanoseconds(), limit = start + (int64_t)(1e9 * ((double)total / rate + 5));
	while (done < total) {
		int64_t now = nanoseconds(), due = start + (int64_t)(1e9 * (double)next / rate);
		while (next < total && due <= now && free_ones > 0) {
			struct connection *connection = idle[--free_ones];
			connection->due = due;
			if (send(connection->fd, request, (size_t)request_bytes, MSG_NOSIGNAL) != request_bytes)
				die("pace: send");
			next++;
			due = start + (int64_t)(1e9 * (double)next / rate);
		}
		if (now > limit) {
			fprintf(stderr, "pace: %ld answers did not come\n", total - done);
			return 1;
		}
		int ready;
		wait_until(epoll, next < total && free_ones > 0 ? due : limit, events, &ready);
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;
			int state = receive(connection, body_bytes);
			if (state == 0)
				continue;
			bad += state < 0;
			times[done++] = nanoseconds() - connection->due;
			idle[free_ones++] = connection;
		}
	}
	report(times, total, bad, nanoseconds() - start);
	return 0;
}
