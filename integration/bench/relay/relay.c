/*
 * The floor: what it costs to carry bytes from a client to a backend and back, and nothing else.
 *
 *   relay 127.0.0.1:6188 127.0.0.1:8001 THREADS
 *
 * It listens on the first address, gives each client connection one connection to the second, and copies what
 * comes, both ways. It reads no HTTP, hence takes no decision, shares no connection and adds no field: a proxy
 * that does these things can come near it and not below.
 *
 * Every thread has an epoll of its own, edge-triggered, and all accept from the same socket. On the common path a
 * message is one read, one write and no copy; what the other side does not take at once is kept, and nothing more
 * is read from the sender until it is gone. It runs until it is killed.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS = 256, CHUNK_BYTES = 64 * 1024, BACKLOG = 4096 };

/* One end of a pair; what is read here is written to the other end. */
struct end {
	int fd;
	struct end *other;
	struct pair *pair;
	char *kept; /* read here and not yet taken by the other end; NULL: nothing */
	size_t kept_bytes, kept_from;
	int finished; /* nothing more comes from here */
	int told;     /* the other end has been told so */
};

struct pair {
	struct end client, backend;
	struct pair *next; /* in the list of those to free */
	int dead;
};

struct worker {
	int epoll;
	struct pair *dead; /* freed after the batch of events that may still name them */
	char chunk[CHUNK_BYTES];
};

static int listener;
static struct sockaddr_in backend_address;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void lose(struct worker *worker, struct pair *pair)
{
	if (pair->dead)
		return;
	pair->dead = 1;
	close(pair->client.fd);
	close(pair->backend.fd);
	pair->next = worker->dead;
	worker->dead = pair;
}

static void bury(struct worker *worker)
{
	while (worker->dead) {
		struct pair *pair = worker->dead;
		worker->dead = pair->next;
		free(pair->client.kept);
		free(pair->backend.kept);
		free(pair);
	}
}

/* Hands on the end of the stream once everything before it is gone. 0, or -1 when the pair is done. */
static int tell_finish(struct end *from)
{
	if (from->finished && !from->told && !from->kept) {
		from->told = 1;
		shutdown(from->other->fd, SHUT_WR);
	}
	return from->told && from->other->told ? -1 : 0;
}

/* Writes what was kept. 1: all is gone; 0: the other end has no room; -1: it is lost. */
static int flush(struct end *from)
{
	while (from->kept) {
		ssize_t sent = send(from->other->fd, from->kept + from->kept_from, from->kept_bytes - from->kept_from, MSG_NOSIGNAL);
		if (sent < 0)
			return errno == EAGAIN ? 0 : -1;
		from->kept_from += (size_t)sent;
		if (from->kept_from == from->kept_bytes) {
			free(from->kept);
			from->kept = NULL;
		}
	}
	return 1;
}

static void keep(struct end *from, const char *bytes, size_t length)
{
	from->kept = malloc(length);
	if (!from->kept)
		die("relay: malloc");
	memcpy(from->kept, bytes, length);
	from->kept_bytes = length;
	from->kept_from = 0;
}

/* Copies from one end to the other until nothing more comes or fits. -1 when the pair is done or lost. */
static int carry(struct worker *worker, struct end *from)
{
	int state = flush(from);

	while (state == 1 && !from->finished) {
		ssize_t length = read(from->fd, worker->chunk, CHUNK_BYTES);
		if (length < 0)
			return errno == EAGAIN ? 0 : -1;
		if (length == 0) {
			from->finished = 1;
			break;
		}
		ssize_t sent = send(from->other->fd, worker->chunk, (size_t)length, MSG_NOSIGNAL);
		if (sent < 0 && errno != EAGAIN && errno != ENOTCONN)
			return -1;
		if (sent < 0)
			sent = 0;
		if (sent < length) {
			keep(from, worker->chunk + sent, (size_t)(length - sent));
			return 0;
		}
		/* A short read emptied the socket: what comes later is a new edge (epoll(7)). */
		if (length < CHUNK_BYTES)
			return 0;
	}
	return state < 0 ? -1 : tell_finish(from);
}

static int connect_backend(void)
{
	int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -1;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (connect(fd, (struct sockaddr *)&backend_address, sizeof backend_address) < 0 && errno != EINPROGRESS) {
		close(fd);
		return -1;
	}
	return fd;
}

static void watch(struct worker *worker, struct end *end)
{
	struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, .data.ptr = end};
	if (epoll_ctl(worker->epoll, EPOLL_CTL_ADD, end->fd, &event) < 0)
		die("relay: epoll_ctl");
}

static void accept_all(struct worker *worker)
{
	for (;;) {
		int on = 1;
		int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (client < 0)
			return;
		int backend = connect_backend();
		if (backend < 0) {
			close(client);
			continue;
		}
		setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
		struct pair *pair = calloc(1, sizeof *pair);
		if (!pair)
			die("relay: calloc");
		pair->client = (struct end){.fd = client, .other = &pair->backend, .pair = pair};
		pair->backend = (struct end){.fd = backend, .other = &pair->client, .pair = pair};
		watch(worker, &pair->client);
		watch(worker, &pair->backend);
	}
}

static void serve(struct worker *worker, struct end *end, unsigned events)
{
	if (end->pair->dead)
		return;
	if (events & EPOLLERR) {
		lose(worker, end->pair);
		return;
	}
	/* Room at this end lets what the other end sent go on. */
	if ((events & EPOLLOUT) && end->other->kept && carry(worker, end->other) < 0) {
		lose(worker, end->pair);
		return;
	}
	if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP)) && carry(worker, end) < 0)
		lose(worker, end->pair);
	/* The end of the stream may have come with the last bytes, in the same event. */
	else if ((events & (EPOLLRDHUP | EPOLLHUP)) && !end->finished && !end->kept && carry(worker, end) < 0)
		lose(worker, end->pair);
}

_Noreturn static void work(void)
{
	struct epoll_event events[EVENTS];
	struct worker *worker = calloc(1, sizeof *worker);
	struct epoll_event arrivals = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = NULL};

	if (!worker)
		die("relay: calloc");
	worker->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (worker->epoll < 0 || epoll_ctl(worker->epoll, EPOLL_CTL_ADD, listener, &arrivals) < 0)
		die("relay: epoll");
	for (;;) {
		int ready = epoll_wait(worker->epoll, events, EVENTS, -1);
		if (ready < 0 && errno != EINTR)
			die("relay: epoll_wait");
		for (int i = 0; i < ready; i++) {
			if (events[i].data.ptr)
				serve(worker, events[i].data.ptr, events[i].events);
			else
				accept_all(worker);
		}
		bury(worker);
	}
}

static void *begin(void *unused)
{
	(void)unused;
	work();
}

static struct sockaddr_in parse_address(const char *text)
{
	struct sockaddr_in address = {.sin_family = AF_INET};
	char host[16];
	unsigned short port;

	if (sscanf(text, "%15[0-9.]:%hu", host, &port) != 2 || inet_pton(AF_INET, host, &address.sin_addr) != 1) {
		fprintf(stderr, "relay: %s is no address such as 127.0.0.1:6188\n", text);
		exit(2);
	}
	address.sin_port = htons(port);
	return address;
}

static void listen_on(struct sockaddr_in address)
{
	int on = 1;

	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (listener < 0)
		die("relay: socket");
	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0 || listen(listener, BACKLOG) < 0)
		die("relay: listen");
}

int main(int count, char **arguments)
{
	int threads = count == 4 ? atoi(arguments[3]) : 0;

	if (threads <= 0) {
		fprintf(stderr, "usage: relay LISTEN_ADDRESS BACKEND_ADDRESS THREADS\n");
		return 2;
	}
	backend_address = parse_address(arguments[2]);
	signal(SIGPIPE, SIG_IGN);
	listen_on(parse_address(arguments[1]));
	for (int i = 1; i < threads; i++) {
		pthread_t thread;
		if (pthread_create(&thread, NULL, begin, NULL) != 0)
			die("relay: pthread_create");
	}
	work();
}
