// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * The listening socket, and clients that come while another is here
 */
#include "link/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/loop.h"
#include "lib/timer.h"
#include "test/unit/unit.h"

static int served = -1;
static int refuse;
static unsigned serves, stops;

static char dir[] = "/tmp/test_server_XXXXXX";
static char path[64];

static void make_path(void)
{
	if (strchr(dir, 'X'))
		CHECK(mkdtemp(dir) != NULL);
	snprintf(path, sizeof(path), "%s/s", dir);
}

static int listen_at(const char *at)
{
	char used[108];
	int fd = server_listen(at, used, sizeof(used));

	if (fd >= 0 && *at)
		CHECK(!strcmp(used, at));
	return fd;
}

static int client_connect(void)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);

	strcpy(sun.sun_path, path);
	CHECK(!connect(fd, (struct sockaddr *)&sun, sizeof(sun)));
	return fd;
}

static void cleanup(void)
{
	unlink(path);
	rmdir(dir);
	strcpy(dir + strlen(dir) - 6, "XXXXXX");
}

static int serve(int fd, usec_t now)
{
	(void)now;
	if (refuse)
		return refuse;
	served = fd;
	serves++;
	return 0;
}

static void on_stop(void)
{
	stops++;
}

static void setup(int listen_fd, int fd, bool one_off)
{
	struct server_conf c = { listen_fd, fd, one_off, on_stop };

	CHECK(!loop_init());
	served = -1;
	refuse = 0;
	serves = stops = 0;
	server_init(&c, serve);
	CHECK(!server_start(1));
}

static void turns(void)
{
	for (int i = 0; i < 4; i++)
		loop_dispatch(loop_wait(0), 1);
}

static bool is_closed(int fd)
{
	char b;

	return !read(fd, &b, 1);
}

static void end(void)
{
	server_close();
	cleanup();
}

/* No descriptor for a client: it waits, and does not keep us awake */
TEST(out_of_descriptors)
{
	struct rlimit was;
	int a;

	make_path();
	CHECK(timer_init(1) >= 0);
	setup(listen_at(path), -1, false);
	a = client_connect();
	CHECK(!getrlimit(RLIMIT_NOFILE, &was));
	CHECK(!setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 0, was.rlim_max }));
	turns();
	CHECK_EQ(serves, 0);
	CHECK_EQ(loop_wait(0), 0);
	CHECK(!setrlimit(RLIMIT_NOFILE, &was));
	timer_run(1 + USEC_PER_SEC);
	turns();
	CHECK_EQ(serves, 1);
	close(a);
	close(served);
	end();
}

TEST(one_client_after_another)
{
	int a, b;

	make_path();
	setup(listen_at(path), -1, false);
	a = client_connect();
	turns();
	CHECK_EQ(serves, 1);
	b = client_connect();
	turns();
	CHECK(is_closed(b));
	close(b);
	close(served);
	server_client_left();
	CHECK_EQ(stops, 0);
	b = client_connect();
	turns();
	CHECK_EQ(serves, 2);
	CHECK(!is_closed(b));
	close(served);
	close(a);
	close(b);
	end();
}

TEST(while_one_leaves_the_next_waits)
{
	int a, b;

	make_path();
	setup(listen_at(path), -1, false);
	a = client_connect();
	turns();
	server_client_leaving();
	b = client_connect();
	turns();
	CHECK(!is_closed(b));
	CHECK_EQ(serves, 1);
	close(served);
	server_client_left();
	turns();
	CHECK_EQ(serves, 2);
	CHECK(!is_closed(b));
	close(served);
	close(a);
	close(b);
	end();
}

TEST(what_cannot_be_served_is_closed)
{
	int a, err = dup(STDERR_FILENO), log = memfd_create("log", 0);
	char said[256] = "";

	make_path();
	setup(listen_at(path), -1, false);
	refuse = -ENOSPC;
	a = client_connect();
	log_init("test", LOG_LEVEL_WARN);
	dup2(log, STDERR_FILENO);
	turns();
	dup2(err, STDERR_FILENO);
	close(err);
	log_init("test_server", LOG_LEVEL_ERR);
	CHECK(is_closed(a));
	close(a);
	/* fs.epoll.max_user_watches, for one */
	CHECK(pread(log, said, sizeof(said) - 1, 0) > 0);
	CHECK(strstr(said, strerror(ENOSPC)));
	close(log);
	refuse = 0;
	a = client_connect();
	turns();
	CHECK_EQ(serves, 1);
	close(served);
	close(a);
	end();
}

TEST(one_off_and_a_socket_given)
{
	int a, sv[2];

	make_path();
	setup(listen_at(path), -1, true);
	a = client_connect();
	turns();
	CHECK_EQ(serves, 1);
	close(served);
	server_client_left();
	CHECK_EQ(stops, 1);
	close(a);
	end();
	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	setup(-1, sv[0], false);
	CHECK_EQ(served, sv[0]);
	server_client_left();
	CHECK_EQ(stops, 1);
	close(sv[0]);
	close(sv[1]);
	server_close();
}

TEST(listen_mode_whatever_the_umask)
{
	static const mode_t masks[] = { 0, 022, 0777 };
	struct stat st;

	make_path();
	for (unsigned i = 0; i < 3; i++) {
		mode_t was = umask(masks[i]);
		int fd = listen_at(path);

		CHECK(fd >= 0);
		CHECK_EQ(umask(was), masks[i]);
		CHECK(!stat(path, &st));
		CHECK_EQ(st.st_mode & 07777, 0600);
		close(fd);
	}
	cleanup();
}

TEST(listen_stale_and_live)
{
	int fd, fd2;

	make_path();
	fd = listen_at(path);
	CHECK(fd >= 0);
	CHECK_EQ(listen_at(path), -EADDRINUSE);
	CHECK(!listen(fd, 1));
	CHECK_EQ(listen_at(path), -EADDRINUSE);
	/* the live one did not notice */
	CHECK(accept(fd, NULL, NULL) < 0 && errno == EAGAIN);
	close(fd);
	fd2 = listen_at(path);
	CHECK(fd2 >= 0);
	close(fd2);
	cleanup();
}

/* As by `passt -s "$(mktemp)"` */
TEST(listen_empty_file)
{
	struct stat st;
	int fd;

	make_path();
	close(open(path, O_CREAT | O_RDWR, 0644));
	fd = listen_at(path);
	CHECK(fd >= 0);
	CHECK(!stat(path, &st) && S_ISSOCK(st.st_mode));
	close(fd);
	cleanup();
}

TEST(listen_errors)
{
	char used[108], longer[200];
	int fd;

	make_path();
	memset(longer, 'a', sizeof(longer));
	memcpy(longer, dir, strlen(dir));
	longer[strlen(dir)] = '/';
	longer[108] = 0;
	CHECK_EQ(server_listen(longer, used, sizeof(used)), -ENAMETOOLONG);
	longer[107] = 0;
	fd = server_listen(longer, used, sizeof(used));
	CHECK(fd >= 0);
	close(fd);
	unlink(longer);
	fd = open(path, O_CREAT | O_RDWR, 0600);
	CHECK_EQ(write(fd, "x", 1), 1);
	CHECK_EQ(listen_at(path), -EADDRINUSE);
	CHECK(!access(path, F_OK));
	close(fd);
	unlink(path);
	CHECK(!symlink("/nowhere", path));
	CHECK_EQ(listen_at(path), -EADDRINUSE);
	unlink(path);
	CHECK_EQ(listen_at("/nonexistent/s"), -ENOENT);
	cleanup();
}

TEST(listen_default_names)
{
	char first[108], second[108];
	int a = server_listen("", first, sizeof(first));
	int b = server_listen("", second, sizeof(second));

	CHECK(a >= 0 && b >= 0);
	CHECK(!strncmp(first, "/tmp/passt_", 11));
	CHECK(strcmp(first, second));
	close(a);
	close(b);
	unlink(first);
	unlink(second);
}

int main(int argc, char **argv)
{
	log_init("test_server", LOG_LEVEL_ERR);
	return unit_main(argc, argv);
}
