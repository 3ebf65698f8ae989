// The TOML library, compiled here and nowhere else.
//
// Its parser asserts that what follows `[` can begin a key, and `[[[` is enough to break that. The
// code behind such an assertion reports a syntax error like any other, if it is only let: so an
// assertion is neither checked (the program would abort) nor, as with NDEBUG, made a promise to the
// compiler (anything might happen). tests/unit/config damages files at random to see that it holds.
#undef NDEBUG
#define TOML_ASSERT(expression) static_cast<void>(0)
#define TOML_IMPLEMENTATION
#include <toml++/toml.h>
