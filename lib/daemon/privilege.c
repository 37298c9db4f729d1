/* SPDX-License-Identifier: Apache-2.0 */
#include "daemon/privilege.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <sys/resource.h>
#include <unistd.h>

bool
privilege_find_user(const char *name, uid_t *uid_out, gid_t *gid_out, struct err *err)
{
	const struct passwd *pw = getpwnam(name);

	if (pw == NULL)
		return err_set(err, ERR_CONFIG, "unknown user name: %s", name);
	*uid_out = pw->pw_uid;
	*gid_out = pw->pw_gid;
	return true;
}

bool
privilege_find_group(const char *name, gid_t *gid_out, struct err *err)
{
	const struct group *gr = getgrnam(name);

	if (gr == NULL)
		return err_set(err, ERR_CONFIG, "unknown group name: %s", name);
	*gid_out = gr->gr_gid;
	return true;
}

bool
privilege_drop(const char *user, struct err *err)
{
	uid_t uid;
	gid_t gid;

	if (geteuid() != 0)
		return true;
	if (!privilege_find_user(user, &uid, &gid, err))
		return false;
	if (uid == 0)
		return err_set(err, ERR_CONFIG, "mail_owner must not be root");
	if (initgroups(user, gid) != 0 || setresgid(gid, gid, gid) != 0 ||
	    setresuid(uid, uid, uid) != 0)
		return err_errno(err, ERR_TEMP, "become user %s", user);
	/* Belt and braces: there must be no way back. */
	if (setuid(0) == 0 || geteuid() != uid || getegid() != gid)
		return err_set(err, ERR_PERM, "still privileged after becoming %s", user);
	return true;
}

void
privilege_limits(void)
{
	struct rlimit files;
	struct rlimit none = {0, 0};

	/* A lower limit stays where the system gives no more; then there are fewer
	 * sessions at a time. */
	if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
		files.rlim_cur = files.rlim_max;
		IGNORE(setrlimit(RLIMIT_NOFILE, &files) != 0);
	}
	IGNORE(setrlimit(RLIMIT_CORE, &none) != 0);
}
