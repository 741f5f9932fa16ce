"Cuántos casos se han probado de verdad: cada prueba los apunta, y pytest los enseña al acabar."
from collections import Counter

import pytest


@pytest.fixture
def apuntar(request):
    "Suma casos a la prueba que la pide: `apuntar(n)`. Viajan con su resultado, también desde otro proceso de pytest."
    def suma(n: int = 1) -> None: request.node.user_properties.append(('casos', n))
    return suma


def pytest_terminal_summary(terminalreporter):
    casos = Counter()
    for r in terminalreporter.getreports('passed') + terminalreporter.getreports('failed'):
        if r.when == 'call': casos[r.nodeid.split('[')[0].split('/')[-1]] += sum(n for que, n in r.user_properties if que == 'casos')
    if not (casos := +casos): return
    terminalreporter.section('casos probados')
    for prueba, n in casos.items(): terminalreporter.write_line(f'{n:6}  {prueba}')
    terminalreporter.write_line(f'{casos.total():6}  en total')
