/*
 * The backends behind every proxy that is measured: two HTTP/1.1 servers in one thread, "one" and "two".
 *
 *   backend BODY_BYTES EMPTY_LINES
 *
 * Each answers every request with 200 and a body of BODY_BYTES that begins with its name, so that a client
 * can tell which of them answered. At the start it prints the ports it took on 127.0.0.1:
 *
 *   one 34567
 *   two 34568
 *
 * Each byte written to its standard input is answered by a line on its standard output with the requests
 * counted so far: "one 120034 two 0". It ends when its standard input closes, hence never outlives its starter.
 *
 * A request for /one/echo that asks for WebSocket gets it, and from then on each of the client's messages comes back unmasked and
 * counts as a request. Messages are single frames of MESSAGE bytes, and the key is the sample of RFC 6455, 1.3.
 *
 * It must cost far less than any proxy, so it looks for nothing but empty lines (pipelined requests and heads cut
 * anywhere are fine) and refuses nothing. A request ends with its EMPTY_LINES-th: 1 is the end of the head; 2 is
 * for requests with bodies that end with an empty line and have no other.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, READ_BYTES = 64 * 1024, BATCH_BYTES = 64 * 1024, BACKLOG = 4096 };
enum { MESSAGE = 120, MASKED = 6 + MESSAGE, PLAIN = 2 + MESSAGE };

/* What an epoll event points at; the first member tells which of the three it is. */
enum kind { CONTROL, LISTENER, CONNECTION };

struct server {
	enum kind kind;
	int fd;
	const char *name;
	char *answers;       /* the same answer, batch times in a row */
	size_t answer_bytes; /* of one */
	size_t batch;        /* answers held in answers */
	unsigned long long requests;
};

struct connection {
	enum kind kind;
	int fd;
	struct server *server;
	unsigned empty_lines;      /* of the request under way */
	int matched;               /* bytes of "\r\n\r\n" that the input ends with so far */
	unsigned long long unsent; /* bytes of answers still owed to the client */
	int tunnel;                /* it speaks WebSocket */
	size_t held;               /* bytes of frame that have come */
	unsigned char frame[MASKED];
};

static int epoll;
static unsigned empty_lines; /* that a request has */
static char input[READ_BYTES + 1];

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void watch(int fd, unsigned events, void *what)
{
	struct epoll_event event = {.events = events, .data.ptr = what};
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
		die("backend: epoll_ctl");
}

static void prepare_answers(struct server *server, size_t body_bytes)
{
	char head[256];
	int head_bytes = snprintf(head, sizeof head,
				  "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n", body_bytes);
	size_t name_bytes = strlen(server->name);

	server->answer_bytes = (size_t)head_bytes + body_bytes;
	server->batch = BATCH_BYTES / server->answer_bytes;
	if (server->batch == 0)
		server->batch = 1;
	server->answers = malloc(server->batch * server->answer_bytes);
	if (!server->answers)
		die("backend: malloc");
	for (size_t i = 0; i < server->batch; i++) {
		char *answer = server->answers + i * server->answer_bytes;
		memcpy(answer, head, (size_t)head_bytes);
		memset(answer + head_bytes, '.', body_bytes);
		memcpy(answer + head_bytes, server->name, name_bytes < body_bytes ? name_bytes : body_bytes);
	}
}

static void listen_on_loopback(struct server *server)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t length = sizeof address;

	server->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0 || bind(server->fd, (struct sockaddr *)&address, length) < 0 ||
	    listen(server->fd, BACKLOG) < 0 || getsockname(server->fd, (struct sockaddr *)&address, &length) < 0)
		die("backend: listen on 127.0.0.1");
	watch(server->fd, EPOLLIN, server);
	printf("%s %d\n", server->name, ntohs(address.sin_port));
}

static void accept_all(struct server *server)
{
	for (;;) {
		int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		int on = 1;
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct connection *connection = calloc(1, sizeof *connection);
		if (!connection)
			die("backend: calloc");
		connection->kind = CONNECTION;
		connection->fd = fd;
		connection->server = server;
		watch(fd, EPOLLIN, connection);
	}
}

static void drop(struct connection *connection)
{
	close(connection->fd);
	free(connection);
}

/* Counts the requests that end within the input; one may have begun in an earlier read. */
static unsigned long long count_requests(struct connection *connection, const char *bytes, size_t length)
{
	unsigned long long requests = 0;
	int matched = connection->matched;
	const char *end = bytes + length;

	while (bytes < end) {
		if (matched == 0) {
			bytes = memchr(bytes, '\r', (size_t)(end - bytes));
			if (!bytes)
				break;
		}
		char expected = matched & 1 ? '\n' : '\r';
		if (*bytes == expected)
			matched++;
		else
			matched = *bytes == '\r';
		bytes++;
		if (matched == 4) {
			matched = 0;
			if (++connection->empty_lines == empty_lines) {
				connection->empty_lines = 0;
				requests++;
			}
		}
	}
	connection->matched = matched;
	return requests;
}

/* Sends what is owed; asks to be told of room when the socket takes no more. 0, or -1 when the client is lost. */
static int send_owed(struct connection *connection)
{
	const struct server *server = connection->server;

	while (connection->unsent > 0) {
		/* What is owed ends at the end of an answer, and so does the batch: align the two. */
		size_t batch_bytes = server->batch * server->answer_bytes;
		size_t length = connection->unsent % batch_bytes;
		if (length == 0)
			length = batch_bytes;
		ssize_t sent = send(connection->fd, server->answers + batch_bytes - length, length, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		connection->unsent -= (unsigned long long)sent;
	}
	return 0;
}

/* Changes to WebSocket when the input, a whole head, asks for that. 1: it did; -1: the client is lost. */
static int upgrade(struct connection *connection, size_t length)
{
	static const char answer[] = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
				     "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
	const size_t bytes = sizeof answer - 1;

	input[length] = '\0';
	if (strncmp(input, "GET /one/echo ", 14) != 0 || !strcasestr(input, "\r\nupgrade: websocket\r\n"))
		return 0;
	connection->tunnel = 1;
	return send(connection->fd, answer, bytes, MSG_NOSIGNAL) == (ssize_t)bytes ? 1 : -1;
}

/* Answers each message that is whole with the same, unmasked. 0, or -1 when the client is lost. */
static int echo(struct connection *connection, const char *bytes, size_t length)
{
	while (length > 0) {
		size_t take = MASKED - connection->held < length ? MASKED - connection->held : length;
		memcpy(connection->frame + connection->held, bytes, take);
		bytes += take;
		length -= take;
		if ((connection->held += take) < MASKED)
			return 0;
		connection->held = 0;
		connection->server->requests++;
		unsigned char answer[PLAIN] = {0x81, MESSAGE};
		for (int i = 0; i < MESSAGE; i++)
			answer[2 + i] = connection->frame[6 + i] ^ connection->frame[2 + i % 4];
		if (send(connection->fd, answer, PLAIN, MSG_NOSIGNAL) != PLAIN)
			return -1;
	}
	return 0;
}

/* While answers are owed nothing more is read, so a client that does not read holds up only itself. */
static void serve(struct connection *connection)
{
	int was_behind = connection->unsent > 0;

	if (!was_behind) {
		ssize_t length = read(connection->fd, input, READ_BYTES);
		if (length < 0 && errno == EAGAIN)
			return;
		if (length <= 0) {
			drop(connection);
			return;
		}
		int upgraded = connection->tunnel ? echo(connection, input, (size_t)length) : upgrade(connection, (size_t)length);
		if (upgraded < 0)
			drop(connection);
		if (upgraded < 0 || connection->tunnel)
			return;
		unsigned long long requests = count_requests(connection, input, (size_t)length);
		connection->server->requests += requests;
		connection->unsent = requests * connection->server->answer_bytes;
	}
	if (send_owed(connection) < 0) {
		drop(connection);
		return;
	}
	int is_behind = connection->unsent > 0;
	if (is_behind != was_behind) {
		struct epoll_event event = {.events = is_behind ? EPOLLOUT : EPOLLIN, .data.ptr = connection};
		if (epoll_ctl(epoll, EPOLL_CTL_MOD, connection->fd, &event) < 0)
			die("backend: epoll_ctl");
	}
}

static void report(const struct server *one, const struct server *two)
{
	char asked;
	ssize_t length = read(STDIN_FILENO, &asked, 1);

	if (length < 0 && errno == EINTR)
		return;
	if (length <= 0)
		exit(0);
	printf("%s %llu %s %llu\n", one->name, one->requests, two->name, two->requests);
	fflush(stdout);
}

int main(int count, char **arguments)
{
	struct server one = {.kind = LISTENER, .name = "one"}, two = {.kind = LISTENER, .name = "two"};
	enum kind control = CONTROL;
	struct epoll_event events[EVENTS];

	long body_bytes = count == 3 ? atol(arguments[1]) : 0;
	empty_lines = count == 3 ? (unsigned)atoi(arguments[2]) : 0;
	if (body_bytes < 3 || empty_lines < 1) {
		fprintf(stderr, "usage: backend BODY_BYTES EMPTY_LINES (3 or more: the body begins with the backend's name)\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		die("backend: epoll_create1");
	prepare_answers(&one, (size_t)body_bytes);
	prepare_answers(&two, (size_t)body_bytes);
	watch(STDIN_FILENO, EPOLLIN, &control);
	listen_on_loopback(&one);
	listen_on_loopback(&two);
	fflush(stdout);

	for (;;) {
		int ready = epoll_wait(epoll, events, EVENTS, -1);
		if (ready < 0 && errno != EINTR)
			die("backend: epoll_wait");
		for (int i = 0; i < ready; i++) {
			enum kind *what = events[i].data.ptr;
			switch (*what) {
			case CONTROL:
				report(&one, &two);
				break;
			case LISTENER:
				accept_all((struct server *)what);
				break;
			case CONNECTION:
				serve((struct connection *)what);
				break;
			}
		}
	}
}
