/* SPDX-License-Identifier: Apache-2.0 */
#include "log_stamp.h"

#include <time.h>

#include "base/macros.h"

enum { SECOND_US = 1000000, DAY_S = 86400 };

/* The fields of a stamp; year 0 means that it has none. */
struct fields {
	int year, month, day, hour, minute, second;
	int64_t fraction_us;
	bool has_zone;
	int zone_s;
};

static bool
take_number(struct str *s, size_t min_digits, size_t max_digits, int *out)
{
	size_t n = 0;
	int v = 0;

	while (n < s->len && n < max_digits && char_is_digit(s->p[n]))
		v = v * 10 + (s->p[n++] - '0');
	if (n < min_digits)
		return false;
	*s = str_skip(*s, n);
	*out = v;
	return true;
}

static bool
take_char(struct str *s, char c)
{
	if (s->len == 0 || s->p[0] != c)
		return false;
	*s = str_skip(*s, 1);
	return true;
}

static bool
take_month(struct str *s, int *month_out)
{
	static const char names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

	for (int i = 0; i < 12; i++) {
		if (str_istarts(*s, str_from_mem(names + (size_t)i * 3, 3))) {
			*s = str_skip(*s, 3);
			*month_out = i + 1;
			return true;
		}
	}
	return false;
}

/* HH:MM[:SS[.fraction]] */
static bool
take_clock(struct str *s, struct fields *f)
{
	if (!take_number(s, 1, 2, &f->hour) || !take_char(s, ':') ||
	    !take_number(s, 2, 2, &f->minute))
		return false;
	if (take_char(s, ':') && !take_number(s, 2, 2, &f->second))
		return false;
	if (s->len > 1 && (s->p[0] == '.' || s->p[0] == ',') && char_is_digit(s->p[1])) {
		int64_t unit = SECOND_US / 10;

		*s = str_skip(*s, 1);
		while (s->len > 0 && char_is_digit(s->p[0])) {
			f->fraction_us += unit * (s->p[0] - '0');
			unit /= 10;
			*s = str_skip(*s, 1);
		}
	}
	return f->hour < 24 && f->minute < 60 && f->second < 61;
}

static bool
take_zone(struct str *s, struct fields *f)
{
	int sign;
	int hours;
	int minutes = 0;

	if (take_char(s, 'Z') || take_char(s, 'z')) {
		f->has_zone = true;
		return true;
	}
	if (s->len == 0 || (s->p[0] != '+' && s->p[0] != '-'))
		return true;
	sign = s->p[0] == '-' ? -1 : 1;
	*s = str_skip(*s, 1);
	if (!take_number(s, 2, 2, &hours))
		return false;
	take_char(s, ':');
	if (s->len > 0 && char_is_digit(s->p[0]) && !take_number(s, 2, 2, &minutes))
		return false;
	f->has_zone = true;
	f->zone_s = sign * (hours * 3600 + minutes * 60);
	return true;
}

static bool
take_iso(struct str *s, struct fields *f, bool clock_needed)
{
	if (!take_number(s, 4, 4, &f->year) || !take_char(s, '-') ||
	    !take_number(s, 2, 2, &f->month) || !take_char(s, '-') ||
	    !take_number(s, 2, 2, &f->day))
		return false;
	if (s->len == 0 && !clock_needed)
		return true;
	if (!take_char(s, 'T') && !take_char(s, ' '))
		return false;
	return take_clock(s, f) && take_zone(s, f);
}

static bool
take_classic(struct str *s, struct fields *f, bool clock_needed)
{
	struct str after;

	if (!take_month(s, &f->month) || !take_char(s, ' '))
		return false;
	take_char(s, ' ');
	if (!take_number(s, 1, 2, &f->day))
		return false;
	if (s->len == 0 && !clock_needed)
		return true;
	if (!take_char(s, ' '))
		return false;
	after = *s;
	if (take_number(&after, 4, 4, &f->year) && take_char(&after, ' '))
		*s = after;
	else
		f->year = 0;
	return take_clock(s, f);
}

static int64_t
to_us(const struct fields *f, int year)
{
	struct tm tm = {
		.tm_year = year - 1900,
		.tm_mon = f->month - 1,
		.tm_mday = f->day,
		.tm_hour = f->hour,
		.tm_min = f->minute,
		.tm_sec = f->second,
		.tm_isdst = -1,
	};
	int64_t s = f->has_zone ? timegm(&tm) - f->zone_s : mktime(&tm);

	return s * SECOND_US + f->fraction_us;
}

static bool
resolve(const struct fields *f, int64_t reference_s, int64_t *time_us_out)
{
	time_t limit_s = reference_s + DAY_S;
	struct tm tm;
	int year = f->year;
	int64_t t;

	if (f->month < 1 || f->month > 12 || f->day < 1 || f->day > 31)
		return false;
	if (year == 0) {
		if (localtime_r(&limit_s, &tm) == NULL)
			return false;
		year = tm.tm_year + 1900;
	}
	t = to_us(f, year);
	/* 29 February exists every fourth year only: go back until it does. */
	for (int back = 0; f->year == 0 && back < 8; back++) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		if (t <= limit_s * (int64_t)SECOND_US &&
		    (f->month != 2 || f->day != 29 || leap))
			break;
		t = to_us(f, --year);
	}
	*time_us_out = t;
	return true;
}

bool
log_stamp_parse(struct str *rest, int64_t reference_s, int64_t *time_us_out)
{
	struct str s = *rest;
	struct fields f = {0};

	if (s.len == 0)
		return false;
	if (!(char_is_digit(s.p[0]) ? take_iso(&s, &f, true)
				    : take_classic(&s, &f, true)))
		return false;
	if (!resolve(&f, reference_s, time_us_out))
		return false;
	take_char(&s, ' ');
	*rest = s;
	return true;
}

/* Seconds in "90m" and the like; 0 if it is not one. */
static int64_t
parse_ago(struct str text)
{
	static const struct {
		char unit;
		int64_t s;
	} units[] = {{'s', 1},
		     {'m', 60},
		     {'h', 3600},
		     {'d', DAY_S},
		     {'w', (int64_t)7 * DAY_S}};
	uint64_t n;

	if (str_iends(text, STR(" ago")))
		text = str_trim(str_head(text, text.len - 4));
	for (size_t i = 0; text.len > 1 && i < ARRAY_LEN(units); i++) {
		if (char_lower(text.p[text.len - 1]) == units[i].unit &&
		    str_to_u64(str_head(text, text.len - 1), 100000, &n))
			return (int64_t)n * units[i].s;
	}
	return 0;
}

static int64_t
midnight_us(int64_t now_s, int days_back)
{
	time_t t = now_s;
	struct tm tm;

	if (localtime_r(&t, &tm) == NULL)
		return 0;
	tm.tm_hour = tm.tm_min = tm.tm_sec = 0;
	tm.tm_mday -= days_back;
	tm.tm_isdst = -1;
	return mktime(&tm) * (int64_t)SECOND_US;
}

static bool
parse_word(struct str text, int64_t now_s, bool end_of_day, int64_t *out)
{
	int64_t last = end_of_day ? (int64_t)DAY_S * SECOND_US - 1 : 0;
	int64_t ago = parse_ago(text);
	int64_t at;

	if (str_ieq(text, STR("now")))
		*out = now_s * SECOND_US;
	else if (str_ieq(text, STR("today")))
		*out = midnight_us(now_s, 0) + last;
	else if (str_ieq(text, STR("yesterday")))
		*out = midnight_us(now_s, 1) + last;
	else if (ago > 0)
		*out = (now_s - ago) * SECOND_US;
	else if (text.len > 1 && text.p[0] == '@' &&
		 str_to_i64(str_skip(text, 1), 0, INT64_C(9999999999), &at))
		*out = at * SECOND_US;
	else
		return false;
	return true;
}

bool
log_stamp_parse_when(struct str text, int64_t now_s, bool end_of_day,
		     int64_t *time_us_out)
{
	struct fields f = {0};
	struct str s;
	bool date_only;
	int64_t t;

	text = str_trim(text);
	if (text.len == 0)
		return false;
	if (parse_word(text, now_s, end_of_day, time_us_out))
		return true;
	s = text;
	if (take_clock(&s, &f) && s.len == 0) {
		*time_us_out =
			midnight_us(now_s, 0) + f.fraction_us +
			((int64_t)f.hour * 3600 + (int64_t)f.minute * 60 + f.second) *
				SECOND_US;
		return true;
	}
	f = (struct fields){0};
	s = text;
	if (!(char_is_digit(s.p[0]) ? take_iso(&s, &f, false)
				    : take_classic(&s, &f, false)) ||
	    s.len != 0 || !resolve(&f, now_s, &t))
		return false;
	date_only = !str_contains(text, ':');
	*time_us_out = t + (date_only && end_of_day ? (int64_t)DAY_S * SECOND_US - 1 : 0);
	return true;
}
