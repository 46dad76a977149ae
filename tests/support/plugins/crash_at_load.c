/* Does not survive its own constructor. */
#include <stdlib.h>
#include <unistd.h>

__attribute__((constructor)) static void start(void)
{
    _exit(42);
}
