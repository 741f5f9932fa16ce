"Escribe `constraints.txt`: las versiones exactas de lo instalado en este entorno."

import re
import subprocess
import sys
from pathlib import Path

RAIZ = Path(__file__).resolve().parents[1]
FUERA = {'pip', 'img2audio'}  # el propio paquete y quien instala
CABECERA = """\
# Versiones con las que se ha probado img2audio (Python {v}, CPU). Las escribe `make fijar`.
"""


def fijas(
    congelado: str,  # lo que imprime `pip freeze --all`
) -> list[str]:  # líneas `nombre==versión`, en orden
    "Versiones sin rutas locales ni etiquetas de compilación (`+cpu`), que en otra máquina no existirían."
    res = {}
    for linea in congelado.splitlines():
        m = re.fullmatch(r'([A-Za-z0-9._-]+)(?:==([^\s+;]+)(?:\+\S+)?| @ (\S+))', linea.strip())
        if not m:
            continue
        nombre, version, direccion = m.groups()
        if re.sub(r'[-_.]+', '-', nombre).lower() in FUERA:
            continue
        if direccion:
            raise SystemExit(f'{nombre} no viene de un registro sino de {direccion}: instálelo de uno y repita.')
        res[nombre.lower()] = f'{nombre}=={version}'
    return [res[k] for k in sorted(res)]


def principal() -> None:
    "Congela este entorno en `constraints.txt`."
    orden = [sys.executable, '-m', 'pip', 'freeze', '--all', '--exclude-editable']
    lineas = fijas(subprocess.run(orden, check=True, capture_output=True, text=True).stdout)
    cabecera = CABECERA.format(v='.'.join(map(str, sys.version_info[:2])))
    (RAIZ / 'constraints.txt').write_text(cabecera + '\n'.join(lineas) + '\n', encoding='utf-8')
    print(f'constraints.txt: {len(lineas)} paquetes.')


if __name__ == '__main__':
    principal()
