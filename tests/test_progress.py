import io

from rich import console

from msrcnn_plugin.progress import progress_bar


def test_progress_is_shown_on_a_terminal_only(monkeypatch):
    stock = console.Console

    def shown(is_terminal):
        stream = io.StringIO()
        monkeypatch.setattr(
            console, 'Console', lambda **_: stock(file=stream, force_terminal=is_terminal)
        )
        with progress_bar('Evaluating masks', 3) as counted:
            assert [counted(abs)(value) for value in (-1, 2, -3)] == [1, 2, 3]
        return stream.getvalue()

    assert 'Evaluating masks' in shown(True)
    assert shown(False) == ''
