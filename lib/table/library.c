/* SPDX-License-Identifier: Apache-2.0 */
#include "table/library.h"

#include <dlfcn.h>
#include <string.h>

#include "base/panic.h"

enum { FUNCTIONS_MAX = 40 };

static void *
load(const struct library *l, struct err *err)
{
	void *handle = dlopen(l->soname, RTLD_NOW | RTLD_NODELETE);

	if (handle == NULL)
		err_set(err, ERR_CONFIG, "load %s (Debian package %s): %s", l->soname,
			l->package, dlerror());
	return handle;
}

bool
library_load(const struct library *l, struct err *err)
{
	void *handle = load(l, err);

	if (handle == NULL)
		return false;
	/* RTLD_NODELETE: this takes back the count, not the library. */
	dlclose(handle);
	return true;
}

bool
library_functions(const struct library *l, const char *const *names, size_t n, void *out,
		  size_t size, struct err *err)
{
	void *addresses[FUNCTIONS_MAX];
	void *handle = load(l, err);

	ensure(n <= FUNCTIONS_MAX && size == n * sizeof(addresses[0]));
	if (handle == NULL)
		return false;
	for (size_t i = 0; i < n; i++) {
		addresses[i] = dlsym(handle, names[i]);
		if (addresses[i] == NULL) {
			err_set(err, ERR_CONFIG, "%s (Debian package %s) has no %s()",
				l->soname, l->package, names[i]);
			dlclose(handle);
			return false;
		}
	}
	dlclose(handle);
	/* POSIX: a function's address fits into a pointer to void. */
	memcpy(out, addresses, size);
	return true;
}
