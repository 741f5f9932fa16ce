"La casa: cada módulo importa solo de los pisos de abajo, por su nombre, y nadie usa lo privado de otro."

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

PAQUETE = Path(__file__).parents[1] / 'img2audio'
PISOS = dict(comun=0, base_de_datos=1, embeddings=2, normas=3, traductor=3, integracion=4, taller=5, puertas=6)
MODULOS = {
    '.'.join(f.relative_to(PAQUETE).with_suffix('').parts): f
    for f in sorted(PAQUETE.rglob('*.py'))
    if not f.name.startswith('_') and 'pesos' not in f.parts
}


def piso(modulo: str) -> int:
    return PISOS[modulo.split('.')[0]]


def importados(modulo: str, codigo: str):
    "Lo que un módulo importa de otros nuestros: `(módulo, nombres)`."
    for n in ast.walk(ast.parse(codigo)):
        if isinstance(n, ast.Import):
            for a in n.names:
                if a.name.startswith('img2audio.'):
                    yield a.name.removeprefix('img2audio.'), []
        if not isinstance(n, ast.ImportFrom):
            continue
        if n.level:
            de = '.'.join([*modulo.split('.')[: -n.level], *([n.module] if n.module else [])])
        elif (n.module or '').split('.')[0] == 'img2audio':
            de = n.module.removeprefix('img2audio').lstrip('.')
        else:
            continue
        nombres = [a.name for a in n.names]
        if de in ('', 'comun', 'taller', 'puertas'):  # lo importado son módulos
            yield from ((f'{de}.{x}'.lstrip('.'), []) for x in nombres if x != '__version__')
        else:
            yield de, nombres


def faltas(modulo: str, codigo: str) -> list[str]:
    "Lo que un módulo no debería importar."
    salida = []
    for de, nombres in importados(modulo, codigo):
        if de == modulo:
            continue  # «python -m» se importa a sí mismo, para que haya una sola copia
        if piso(de) > piso(modulo):
            salida.append(f'{modulo} (piso {piso(modulo)}) importa de {de} (piso {piso(de)})')
        salida += [f'{modulo} importa {x}, privado de {de}' for x in nombres if x.startswith('_')]
        if '*' in nombres:
            salida.append(f'{modulo} importa todo lo de {de}')
    return salida


@pytest.mark.parametrize('modulo', MODULOS)
def test_se_importa_hacia_abajo(modulo):
    "Ningún módulo importa de un piso de más arriba, ni lo privado de otro, ni con asterisco."
    assert not faltas(modulo, MODULOS[modulo].read_text(encoding='utf-8'))


def test_no_hay_circulos():
    "Dentro de un mismo piso tampoco se dan la vuelta."
    grafo = {m: {de for de, _ in importados(m, f.read_text(encoding='utf-8')) if de != m} for m, f in MODULOS.items()}
    hechos = []

    def recorrer(m, camino):
        assert m not in camino, ' → '.join([*camino[camino.index(m) :], m])
        if m in hechos:
            return
        for de in sorted(grafo[m]):
            recorrer(de, [*camino, m])
        hechos.append(m)

    for m in grafo:
        recorrer(m, [])
    assert len(grafo) > 15


def test_la_prueba_las_ve():
    "Las tres faltas, escritas a propósito."
    malo = 'from img2audio.integracion import sonorizar\nfrom .sonidos import _motivo\nfrom ..embeddings import *'
    assert len(faltas('comun.imagenes', malo)) == 4
    assert not faltas('taller.banco', 'from ..integracion import sonorizar\nfrom .oido import oir')


def test_importar_no_cambia_argparse():
    "Solo lo traduce quien define una orden."
    codigo = (
        'import argparse; antes = argparse._, argparse.ArgumentParser._print_message; import img2audio.integracion; '
        'assert antes == (argparse._, argparse.ArgumentParser._print_message); import img2audio.puertas.orden; '
        'assert argparse._("usage: ") == "uso: "'
    )
    entorno = {**os.environ, 'HF_HUB_OFFLINE': '1'}
    r = subprocess.run([sys.executable, '-c', codigo], env=entorno, capture_output=True, text=True, encoding='utf-8')
    assert r.returncode == 0, r.stderr[-2000:]


def test_cargar_un_perfil_no_cambia_nada_de_fuera():
    "Las barras y los informes de transformers y de datasets, y los filtros de avisos, como los tuviera quien lo usa."
    codigo = """
import warnings
import datasets
from transformers.utils import logging
def fuera():
    return (logging.get_verbosity(), logging.is_progress_bar_enabled(), datasets.are_progress_bars_disabled(),
            warnings.showwarning, [f for f in warnings.filters if type(f[3]).__module__ != 'img2audio.comun.sistema'])
from img2audio.integracion import sonorizar  # diffusers y transformers ponen sus filtros al importarse
for nivel, barras in ((logging.WARNING, True), (logging.INFO, False)):
    logging.set_verbosity(nivel)
    logging.enable_progress_bar() if barras else logging.disable_progress_bar()
    datasets.enable_progress_bars() if barras else datasets.disable_progress_bars()
    antes = fuera()
    sonorizar('🐓', texto='un gallo', segundos=.32, pasos=1, progreso=False)
    assert fuera() == antes, (antes, fuera())
"""
    entorno = {**os.environ, 'HF_HUB_OFFLINE': '1'}
    r = subprocess.run([sys.executable, '-c', codigo], env=entorno, capture_output=True, text=True, encoding='utf-8')
    assert r.returncode == 0, r.stderr[-2000:]
