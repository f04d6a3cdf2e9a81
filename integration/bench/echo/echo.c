/*
 * WebSocket clients that each wait for the echo of their message and send the next one at once.
 *
 *   echo ADDRESS PATH SECONDS CONNECTIONS
 *
 * All connections change to WebSocket first. Every message has MESSAGE bytes, in one masked frame of text (RFC
 * 6455, 5.2); its echo must come back byte for byte. At the end one line is printed, times in microseconds:
 *
 *   requests 20000 bad 0 took 2000123 p50 102 p99 340 p999 812
 *
 * where requests are messages. A lost connection, a refused upgrade or a wrong echo ends it with exit code 1.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, MESSAGE = 120, MASKED = 6 + MESSAGE, PLAIN = 2 + MESSAGE };

struct connection {
	int fd;
	int64_t sent; /* when the message was */
	size_t received;
	unsigned char echo[PLAIN];
};

static unsigned char message[MASKED], expected[PLAIN];

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
		fprintf(stderr, "echo: %s is no address such as 127.0.0.1:6188\n", text);
		exit(2);
	}
	address.sin_port = htons(port);
	return address;
}

static void prepare_frames(void)
{
	static const unsigned char mask[4] = {0x37, 0xfa, 0x21, 0x3d};

	expected[0] = message[0] = 0x81; /* the only frame of a text */
	expected[1] = MESSAGE;
	message[1] = 0x80 | MESSAGE;
	memcpy(message + 2, mask, sizeof mask);
	for (int i = 0; i < MESSAGE; i++) {
		expected[2 + i] = (unsigned char)('a' + i % 26);
		message[6 + i] = expected[2 + i] ^ mask[i % 4];
	}
}

/* Reads the head that ends the handshake, byte by byte: what follows is no part of it. */
static void upgrade(int fd, const char *path, const char *host)
{
	char request[512], head[4096];
	int length = snprintf(request, sizeof request,
			      "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
			      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
			      path, host);
	size_t received = 0;

	if (send(fd, request, (size_t)length, MSG_NOSIGNAL) != length)
		die("echo: send the handshake");
	while (received < 4 || memcmp(head + received - 4, "\r\n\r\n", 4) != 0) {
		if (received == sizeof head || recv(fd, head + received, 1, 0) != 1)
			die("echo: read the answer to the handshake");
		received++;
	}
	if (memcmp(head, "HTTP/1.1 101", 12) != 0 || !memmem(head, received, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28)) {
		fprintf(stderr, "echo: the answer to the handshake is %.*s\n", (int)received, head);
		exit(1);
	}
}

static void say(struct connection *connection)
{
	connection->sent = nanoseconds();
	if (send(connection->fd, message, MASKED, MSG_NOSIGNAL) != MASKED)
		die("echo: send");
}

/* Reads; 1 when the echo is whole. */
static int hear(struct connection *connection)
{
	ssize_t length = recv(connection->fd, connection->echo + connection->received, PLAIN - connection->received, 0);
	if (length <= 0)
		die("echo: a connection was lost");
	connection->received += (size_t)length;
	if (connection->received < PLAIN)
		return 0;
	connection->received = 0;
	if (memcmp(connection->echo, expected, PLAIN) != 0) {
		fprintf(stderr, "echo: an echo is not what was said\n");
		exit(1);
	}
	return 1;
}

static int ascending(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

static void report(int64_t *times, size_t total, int64_t took)
{
	if (total == 0) {
		fprintf(stderr, "echo: there was no echo\n");
		exit(1);
	}
	qsort(times, total, sizeof *times, ascending);
	printf("requests %zu bad 0 took %lld p50 %lld p99 %lld p999 %lld\n", total, (long long)took / 1000,
	       (long long)times[total / 2] / 1000, (long long)times[total * 99 / 100] / 1000,
	       (long long)times[total * 999 / 1000] / 1000);
}

int main(int count, char **arguments)
{
	if (count != 5) {
		fprintf(stderr, "usage: echo ADDRESS PATH SECONDS CONNECTIONS\n");
		return 2;
	}
	struct sockaddr_in address = parse_address(arguments[1]);
	int connections = atoi(arguments[4]), epoll = epoll_create1(EPOLL_CLOEXEC);
	size_t done = 0, room = 1 << 16;
	int64_t *times = malloc(room * sizeof *times);
	struct connection *all = calloc((size_t)connections, sizeof *all);
	if (epoll < 0 || !times || !all)
		die("echo: start");
	prepare_frames();
	for (int i = 0; i < connections; i++) {
		int on = 1;
		struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
		all[i].fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (all[i].fd < 0 || connect(all[i].fd, (const struct sockaddr *)&address, sizeof address) < 0)
			die("echo: connect");
		setsockopt(all[i].fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		upgrade(all[i].fd, arguments[2], arguments[1]);
		if (epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event) < 0)
			die("echo: epoll_ctl");
	}

	struct epoll_event events[EVENTS];
	int64_t start = nanoseconds(), end = start + (int64_t)(1e9 * atof(arguments[3])), now = start;
	for (int i = 0; i < connections; i++)
		say(&all[i]);
	while (now < end) {
		int ready = epoll_wait(epoll, events, EVENTS, 1000);
		for (int i = 0; i < ready; i++) {
			struct connection *connection = events[i].data.ptr;
			if (!hear(connection))
				continue;
			if (done == room && !(times = realloc(times, (room *= 2) * sizeof *times)))
				die("echo: realloc");
			times[done++] = nanoseconds() - connection->sent;
			say(connection);
		}
		now = nanoseconds();
	}
	report(times, done, now - start);
	return 0;
}
