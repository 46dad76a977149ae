/* A shared object that is no plug-in. */
extern int something;
int something = 1;
