#!/bin/sh
# Compiles Parley's own crates so that they tell what they reach; cargo calls this with the compiler and its arguments.
# The libraries stay as they are: their code would slow the fuzzer down and lead it astray.
case " $* " in
*" --crate-name parley_engine_core "* | *" fuzz_targets/"*) exec "$@" $PARLEY_COVERAGE ;;
*) exec "$@" ;;
esac
