"""Tests: a folder for each part of the packages, `system` for what needs a server or a broker."""

import pytest

# Before any of them is imported, so that what they assert is explained as in a test.
pytest.register_assert_rewrite("tests.support", "tests.system")
