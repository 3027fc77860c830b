"""One call at a time in a folder."""

import pytest

from msrcnn_plugin.studies import only_call_in


def test_a_second_call_is_refused_until_the_first_has_ended(tmp_path):
    first, second = only_call_in(tmp_path), only_call_in(tmp_path)
    with first:
        with pytest.raises(ValueError, match='another call is at work'):
            second.__enter__()
        with only_call_in(tmp_path / 'elsewhere'):
            assert (tmp_path / 'elsewhere').is_dir()
    with only_call_in(tmp_path):
        assert (tmp_path / '.lock').is_file()
