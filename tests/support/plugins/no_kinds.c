/* Includes the header and registers nothing. */
#include <muster/handler.h>
