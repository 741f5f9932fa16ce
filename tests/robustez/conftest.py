"Cuántos casos se han probado de verdad: cada prueba los apunta, y pytest los enseña al acabar."
from collections import Counter

import pytest

_CASOS = Counter()


@pytest.fixture
def apuntar(request):
    "Suma casos a la prueba que la pide: `apuntar(n)`."
    def suma(n: int = 1) -> None: _CASOS[request.node.nodeid.split('[')[0].split('/')[-1]] += n
    return suma


def pytest_terminal_summary(terminalreporter):
    if not _CASOS: return
    terminalreporter.section('casos probados')
    for prueba, n in _CASOS.items(): terminalreporter.write_line(f'{n:6}  {prueba}')
    terminalreporter.write_line(f'{_CASOS.total():6}  en total')
