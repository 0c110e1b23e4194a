// SPDX-License-Identifier: GPL-2.0-or-later
/*
 * Tests of lib/portspec.c
 *
 * Rules are compared in text form, so that a failure shows them:
 *	[ADDR%IF/]FIRST-LAST>TO[@TARGET][w][a][b], spaces between
 */
#include <errno.h>
#include <string.h>

#include "lib/portspec.h"
#include "test/unit/unit.h"

static const struct portspec_context passt = {
	.ephemeral_first = 32768, .ephemeral_last = 60999 };
static const struct portspec_context pasta = {
	.ephemeral_first = 32768, .ephemeral_last = 60999, .allow_auto = true };
static const struct portspec_context pasta_udp = {
	.ephemeral_first = 32768, .ephemeral_last = 60999, .allow_auto = true,
	.udp = true };

static struct portspec spec;

static void rule_text(const struct port_rule *r, char *out, size_t size)
{
	char listen[ADDR_STRLEN] = "", target[ADDR_STRLEN] = "";
	bool where = !addr_equal(&r->listen, &ADDR_ANY6) || *r->ifname;

	if (!addr_equal(&r->listen, &ADDR_ANY6))
		addr_format(&r->listen, listen, sizeof(listen));
	if (r->has_target)
		addr_format(&r->target, target, sizeof(target));
	snprintf(out, size, "%s%s%s%s%u-%u>%u%s%s%s%s%s", listen,
		 *r->ifname ? "%" : "", r->ifname, where ? "/" : "", r->first,
		 r->last, r->to, r->has_target ? "@" : "", target,
		 r->weak ? "w" : "", r->automatic ? "a" : "",
		 r->beside ? "b" : "");
}

static const char *rules(void)
{
	static char text[4096];
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < spec.count; i++) {
		char one[256];

		rule_text(&spec.rule[i], one, sizeof(one));
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%s",
				       i ? " " : "", one);
	}
	return text;
}

static int add(const char *text, const struct portspec_context *ctx)
{
	char why[128] = "";
	int rc = portspec_parse(&spec, text, ctx, why, sizeof(why));

	if (rc && !*why)
		unit_fail(__FILE__, __LINE__, "no reason given");
	return rc;
}

static void expect(const char *text, const char *want, int line)
{
	char msg[8192];

	if (!strcmp(rules(), want))
		return;
	snprintf(msg, sizeof(msg), "%.200s: %.3800s instead of %.3800s", text,
		 rules(), want);
	unit_fail(__FILE__, line, msg);
}

#define GIVES_IN(ctx, text, want)					\
	do {								\
		memset(&spec, 0, sizeof(spec));				\
		CHECK_EQ(add(text, &ctx), 0);				\
		expect(text, want, __LINE__);				\
	} while (0)
#define GIVES(text, want)	GIVES_IN(passt, text, want)
#define ADDS(text, want)						\
	do {								\
		CHECK_EQ(add(text, &passt), 0);				\
		expect(text, want, __LINE__);				\
	} while (0)

TEST(numbers_and_ranges)
{
	GIVES("22", "22-22>22");
	GIVES("1", "1-1>1");
	GIVES("65535", "65535-65535>65535");
	GIVES("1-65535", "1-65535>1");
	GIVES("22:23", "22-22>23");
	GIVES("22,25", "22-22>22 25-25>25");
	GIVES("22-80", "22-80>22");
	GIVES("22-80:32-90", "22-80>32");
	GIVES("40000", "40000-40000>40000");
	CHECK(spec.given && !spec.none);
}

TEST(addresses)
{
	GIVES("192.0.2.1/22", "192.0.2.1/22-22>22");
	GIVES("192.0.2.1%eth0/22", "192.0.2.1%eth0/22-22>22");
	GIVES("%eth0/22", "%eth0/22-22>22");
	GIVES("[2001:db8::1]/22", "2001:db8::1/22-22>22");
	GIVES("2001:db8::1/22:23", "2001:db8::1/22-22>23");
	GIVES("fe80::1%eth0/22", "fe80::1%eth0/22-22>22");
	GIVES("[fe80::1%eth0]/22", "fe80::1%eth0/22-22>22");
	GIVES("[fe80::1]%eth0/22", "fe80::1%eth0/22-22>22");
	GIVES("0.0.0.0/22", "0.0.0.0/22-22>22");
	GIVES("::/22", "22-22>22");
	GIVES("127.0.0.1/22,::1/23,24",
	      "127.0.0.1/22-22>22 ::1/23-24>23");
}

TEST(targets)
{
	GIVES("0.0.0.0/5000:192.0.2.5/6000",
	      "0.0.0.0/5000-5000>6000@192.0.2.5");
	GIVES("22:192.0.2.5", "22-22>22@192.0.2.5");
	GIVES("22:192.0.2.5/23", "22-22>23@192.0.2.5");
	GIVES("22:[2001:db8::5]/23", "22-22>23@2001:db8::5");
	GIVES("22:2001:db8::5", "22-22>22@2001:db8::5");
	GIVES("[::1]/20-30:[2001:db8::5]/40-50", "::1/20-30>40@2001:db8::5");
	GIVES("127.0.0.6/22:192.0.2.6,23", "127.0.0.6/22-22>22@192.0.2.6 "
	      "127.0.0.6/23-23>23");
}

TEST(exclusions)
{
	GIVES("2000-5000,~3000-3010", "2000-2999>2000 3011-5000>3011");
	GIVES("192.0.2.1/20-30,~25",
	      "192.0.2.1/20-24>20 192.0.2.1/26-30>26");
	GIVES("~25,20-30", "20-24>20 26-30>26");
	GIVES("20-30:120-130,~20,~30", "21-29>121");
	GIVES("20-30,~10-40", "");
	GIVES("~20000-20010", "1-19999>1w 20011-32767>20011w "
	      "61000-65535>61000w");
	GIVES("~1-61000,~65535", "61001-65534>61001w");
	GIVES("192.0.2.1/~2-65535", "192.0.2.1/1-1>1w");
	/* at, before and behind multiples of 64 */
	GIVES("1-300,~64-127", "1-63>1 128-300>128");
	GIVES("1-300,~63-128", "1-62>1 129-300>129");
	GIVES("1-300,~65-126", "1-64>1 127-300>127");
	GIVES("1-300,~64-191,~193", "1-63>1 192-192>192 194-300>194");
	GIVES("65000-65535,~65472-65535", "65000-65471>65000");
	GIVES("65000-65535,~65000-65471", "65472-65535>65472");
}

TEST(all)
{
	GIVES("all", "1-32767>1w 61000-65535>61000w");
	GIVES("::1/all", "::1/1-32767>1w ::1/61000-65535>61000w");
	GIVES("127.0.0.6/all:192.0.2.6", "127.0.0.6/1-32767>1@192.0.2.6w "
	      "127.0.0.6/61000-65535>61000@192.0.2.6w");
	GIVES("all,~3-65535", "1-2>1w");
	/* By number comes first, and is none of `all` */
	GIVES("all,8080:80", "8080-8080>80 1-8079>1w 8081-32767>8081w "
	      "61000-65535>61000w");
	GIVES("127.0.0.1/all,::1/80", "::1/80-80>80 127.0.0.1/1-32767>1w "
	      "127.0.0.1/61000-65535>61000w");
}

TEST(ephemeral_range)
{
	static const struct portspec_context low = {
		.ephemeral_first = 1, .ephemeral_last = 60999 };
	static const struct portspec_context high = {
		.ephemeral_first = 2000, .ephemeral_last = 65535 };
	static const struct portspec_context every = {
		.ephemeral_first = 1, .ephemeral_last = 65535 };

	GIVES_IN(low, "all", "61000-65535>61000w");
	GIVES_IN(high, "all", "1-1999>1w");
	GIVES_IN(every, "all", "");
}

TEST(automatic)
{
	GIVES_IN(pasta, "auto", "1-65535>1wa");
	GIVES_IN(pasta, "::1/auto", "::1/1-65535>1wa");
	GIVES_IN(pasta, "~22,127.0.0.1/auto", "127.0.0.1/1-21>1wa "
		 "127.0.0.1/23-65535>23wa");
	GIVES_IN(pasta, "127.0.0.1/auto,::1/~22", "127.0.0.1/1-21>1wa "
		 "127.0.0.1/23-65535>23wa");
	GIVES_IN(pasta, "8000-8010,auto", "8000-8010>8000a");
	GIVES_IN(pasta, "auto,~2-65535", "1-1>1wa");
	GIVES_IN(pasta, "auto,~50000", "1-49999>1wa 50001-65535>50001wa");
	GIVES_IN(pasta, "auto,::1/all",
		 "::1/1-32767>1wa ::1/61000-65535>61000wa");
	GIVES_IN(pasta, "auto,all", "1-32767>1wa 61000-65535>61000wa");
	GIVES_IN(pasta, "all", "1-32767>1w 61000-65535>61000w");
	GIVES_IN(pasta, "~25-65535", "1-24>1w");
	GIVES_IN(pasta, "8000", "8000-8000>8000");
	CHECK(add("8000,auto", &pasta) < 0);
	memset(&spec, 0, sizeof(spec));
	CHECK(!add("auto", &pasta) && !add("8000:80", &pasta));
	CHECK_EQ(spec.count, 3);
	CHECK(!spec.rule[0].automatic && spec.rule[0].to == 80);
	CHECK(spec.rule[1].automatic && spec.rule[1].last == 7999);
	CHECK(!add("none", &pasta) && !spec.count);
	CHECK(!add("auto", &pasta) && spec.count == 1);
	memset(&spec, 0, sizeof(spec));
	CHECK(add("auto", &passt) < 0);
	CHECK(add("8000,auto", &passt) < 0);
}

/* Ephemeral ones only beside TCP's */
TEST(automatic_udp)
{
	GIVES_IN(pasta_udp, "auto", "1-32767>1wa 61000-65535>61000wa "
		 "32768-60999>32768wab");
	GIVES_IN(pasta_udp, "::1/auto,~1-61000", "::1/61001-65535>61001wa");
	GIVES_IN(pasta_udp, "auto,all", "1-32767>1wa 61000-65535>61000wa");
	GIVES_IN(pasta_udp, "40000-40001,auto", "40000-40001>40000a");
	GIVES_IN(pasta_udp, "all", "1-32767>1w 61000-65535>61000w");
	memset(&spec, 0, sizeof(spec));
	CHECK(!add("40000", &pasta_udp) && !add("auto", &pasta_udp));
	expect("40000 auto", "40000-40000>40000 1-32767>1wa "
	       "61000-65535>61000wa 32768-39999>32768wab "
	       "40001-60999>40001wab", __LINE__);
}

TEST(none_and_the_last_wins)
{
	GIVES("none", "");
	CHECK(spec.given && spec.none);
	ADDS("22", "22-22>22");
	CHECK(!spec.none);
	ADDS("none", "");
	CHECK(spec.none && spec.given);
}

TEST(several_add_up)
{
	GIVES("22", "22-22>22");
	ADDS("80-90", "22-22>22 80-90>80");
	/* What is there already is not added again */
	ADDS("85,88-92", "22-22>22 80-92>80");
	ADDS("192.0.2.1/22", "22-22>22 80-92>80 192.0.2.1/22-22>22");
	ADDS("%eth0/22", "22-22>22 80-92>80 192.0.2.1/22-22>22 %eth0/22-22>22");
	/* To another place: refused, nothing changes */
	CHECK_EQ(add("21,22:23", &passt), -EINVAL);
	expect("22:23", "22-22>22 80-92>80 192.0.2.1/22-22>22 %eth0/22-22>22",
	       __LINE__);
	CHECK(add("22:192.0.2.9", &passt) < 0);
	CHECK(add("80-90:81-91", &passt) < 0);
	/* Exclusions are those of their own text */
	ADDS("~1-65000,~65002-65535", "22-22>22 80-92>80 192.0.2.1/22-22>22 "
	     "%eth0/22-22>22 65001-65001>65001w");
}

TEST(by_number_after_all)
{
	GIVES("all", "1-32767>1w 61000-65535>61000w");
	ADDS("1", "1-1>1 2-32767>2w 61000-65535>61000w");
	ADDS("65535:5", "1-1>1 65535-65535>5 2-32767>2w 61000-65534>61000w");
	ADDS("4:5", "1-1>1 65535-65535>5 4-4>5 2-3>2w 61000-65534>61000w "
	     "5-32767>5w");
	GIVES("all,~2-65535", "1-1>1w");
	ADDS("1:2", "1-1>2");
}

TEST(ranges_after_all)
{
	GIVES("all", "1-32767>1w 61000-65535>61000w");
	ADDS("80-8080:180-8180", "80-8080>180 1-79>1w 61000-65535>61000w "
	     "8081-32767>8081w");
	ADDS("32000-62000", "80-8080>180 32000-62000>32000 1-79>1w "
	     "62001-65535>62001w 8081-31999>8081w");
	ADDS("1-79,~40", "80-8080>180 32000-62000>32000 1-39>1 41-79>41 "
	     "40-40>40w 62001-65535>62001w 8081-31999>8081w");
	GIVES("~2-65535", "1-1>1w");
	ADDS("1-3", "1-3>1");
}

TEST(capacity)
{
	static char text[8192];
	size_t at = 0;

	/* Neighbours to neighbours are one range */
	for (unsigned p = 1000; p < 1300; p++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u",
				       at ? "," : "", p);
	GIVES(text, "1000-1299>1000");

	memset(&spec, 0, sizeof(spec));
	at = 0;
	for (unsigned i = 0; i < PORTSPEC_RULES; i++)
		at += (size_t)snprintf(text + at, sizeof(text) - at, "%s%u",
				       at ? "," : "", 1000 + 2 * i);
	CHECK_EQ(add(text, &passt), 0);
	CHECK_EQ(spec.count, PORTSPEC_RULES);
	CHECK_EQ(add("5000", &passt), -EINVAL);
	CHECK_EQ(spec.count, PORTSPEC_RULES);
	CHECK_EQ(add("1002", &passt), 0);
}

TEST(refused)
{
	static const char *const bad[] = {
		"", ",", "80,", ",80", "80,,90", "0", "65536", "99999-100000",
		"4294967297", "18446744073709551617", "x", "80x", "80 ", " 80",
		"+80", "80-", "-80", "90-80", "80-90-100", "0-5", "80:", ":80",
		"80:0", "80:65536", "80:x", "80:90:100", "80-90:100-101",
		"80-90:100", "80:90-100", "65530-65535:65531-65536",
		"~", "~x", "~80:90", "~0", "~90-80", "!80",
		"none,80", "80,none", "alles", "ALL", "all:80", "all:80-90",
		"auto:80", "/80", "1.2.3/80", "1.2.3.4.5/80", "192.0.2.1/",
		"192.0.2.1", "192.0.2.1:80", "192.0.2.1%/80", "%/80",
		"%name-that-is-too-long/80", "[192.0.2.1]/80",
		"[2001:db8::1/80", "2001:db8:1::2]/80", "[]/80", "[]%eth0/80",
		"224.0.0.1/80", "255.255.255.255/80", "ff02::1/80",
		"::ffff:192.0.2.1/80", "host/80", "80:1.2.3", "80:[::1/80",
		"80:0.0.0.0", "80:224.0.0.1", "80:ff02::1", "80:::",
		"80:192.0.2.1/", "80:192.0.2.1/x", "80:192.0.2.1/80-90",
		"80:[192.0.2.1]/80", "192.0.2.2/80:2001:db8::1",
		"2001:db8::1/80:192.0.2.1", "192.0.2.2/8080:[::1/80",
		"80/90", "80/192.0.2.1", "80:192.0.2.1%eth0/80",
		"80,80:81", "80-90,85:86", "1.2.3.4/80,1.2.3.4/80:81",
		"[0000000000000000000000000000000000000000000000000000001]/80",
	};
	char longer[400];

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		memset(&spec, 0, sizeof(spec));
		if (!add(bad[i], &passt))
			unit_fail(__FILE__, __LINE__, bad[i]);
		CHECK(!spec.given && !spec.count);
	}
	memset(longer, '8', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	CHECK(add(longer, &passt) < 0);
}

TEST(reasons)
{
	static const char *const bad[][2] = {
		{ "80x", "'80x'" }, { "1.2.3/80", "'1.2.3'" },
		{ "[2001:db8::1/80", "'[2001:db8::1'" },
		{ "fe80::1%/80", "'fe80::1%'" }, { "80:1.2.3", "'1.2.3'" },
		{ "80:9x", "'9x'" }, { "80,,90", "empty" },
		{ "80-90,85:86", "port 85" }, { "auto", "'auto'" },
		{ "80:81-82", "'81-82'" }, { "~80:90", "'~80'" },
	};

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		char why[128] = "";

		memset(&spec, 0, sizeof(spec));
		CHECK(portspec_parse(&spec, bad[i][0], &passt, why,
				     sizeof(why)) < 0);
		if (!strstr(why, bad[i][1]))
			unit_fail(__FILE__, __LINE__, why);
	}
}

TEST(reason_fits)
{
	char why[8];

	memset(&spec, 0, sizeof(spec));
	memset(why, 'x', sizeof(why));
	CHECK(portspec_parse(&spec, "192.0.2.1/90-80", &passt, why,
			     sizeof(why)) < 0);
	CHECK(memchr(why, '\0', sizeof(why)) && *why);
}

int main(int argc, char **argv)
{
	return unit_main(argc, argv);
}
