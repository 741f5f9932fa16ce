"""El sitio sin Quarto: su configuración, lo que nbdev prepara y lo que lo rodea
(flujos de trabajo, cómo citar, cambios)."""

import ast
import configparser
import json
import os
import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from bs4 import BeautifulSoup

RAIZ = Path(__file__).resolve().parents[1]
NBS = RAIZ / 'nbs'
CUADERNOS = sorted(NBS.rglob('*.ipynb'))
INI = configparser.ConfigParser(delimiters=['='])
INI.read(RAIZ / 'settings.ini', encoding='utf-8')
CFG = INI['DEFAULT']

# Lo que admite Quarto 1.4 (src/resources/schema de quarto-cli): otra clave, la rechaza o la pasa por alto.
BARRA = (
    'title logo logo-alt logo-href background foreground search pinned collapse collapse-below left right tools '
    'toggle-position'
)
OPCIONES = {
    '': 'project lang filters image image-alt format website metadata-files',
    'project': 'type output-dir resources render',
    'format': 'html',
    'format.html': (
        'theme css toc toc-title toc-depth code-copy code-overflow code-fold from include-after-body '
        'include-in-header html-math-method'
    ),
    'format.html.theme': 'light dark',
    'website': (
        'title description favicon site-url site-path repo-url repo-subdir repo-branch repo-actions issue-url '
        'reader-mode search navbar sidebar body-header body-footer margin-header margin-footer page-navigation '
        'back-to-top-navigation bread-crumbs page-footer image image-alt open-graph twitter-card'
    ),
    'website.navbar': BARRA,
    'website.sidebar': (
        'id title logo search tools contents style background foreground border alignment collapse-level pinned '
        'header footer'
    ),
    'website.open-graph': 'title description image image-alt image-width image-height locale site-name',
    'website.twitter-card': 'title description image image-alt image-width image-height card-style creator site',
}
TEMAS = 'cosmo darkly'.split()  # de Bootswatch, que vienen con Quarto
# De cada celda de las tablas: lo que dice, en cuántos renglones y píxeles, y si su tabla se sale de la página
CELDAS = """() => [...document.querySelectorAll('main :is(td, tbody th)')].map(e => {
  const trozo = document.createRange(), tabla = e.closest('table').getBoundingClientRect();
  trozo.selectNodeContents(e);
  const alto = parseFloat(getComputedStyle(e).fontSize);
  const lineas = new Set([...trozo.getClientRects()].map(r => Math.round(r.bottom/alto)));
  return {texto: e.innerText.trim(), lineas: lineas.size, ancho: e.clientWidth, fuera: tabla.right > innerWidth + 1};
})"""

# De cada tabla: si se desplaza en su caja, y si se llega a ella con el teclado
CAJAS = "[...document.querySelectorAll('table')].map(t => [t.scrollWidth > t.clientWidth, t.tabIndex])"


def celdas(cuaderno: Path) -> list[dict]:
    "Las de un cuaderno, con su texto entero en `texto`."
    return [{**c, 'texto': ''.join(c['source'])} for c in json.loads(cuaderno.read_text(encoding='utf-8'))['cells']]


def salidas() -> list[tuple[str, dict]]:
    "De cada salida guardada que no es solo texto escrito: su cuaderno y su celda, y sus datos por tipo."
    return [
        (f'{f.stem} {c["id"]}', o['data'])
        for f in CUADERNOS
        for c in celdas(f)
        for o in c.get('outputs', [])
        if 'data' in o
    ]


def directivas(texto: str) -> set[str]:
    return set(re.findall(r'^#\|\s*([\w-]+)', texto, re.M))


def configuracion() -> dict:
    "Lo que ve Quarto: `_quarto.yml` con `nbdev.yml` y `sidebar.yml` dentro."
    cfg = yaml.safe_load((RAIZ / '_quarto.yml').read_text(encoding='utf-8'))
    for n in cfg['metadata-files']:
        otro = yaml.safe_load((NBS / n).read_text(encoding='utf-8'))
        for clave, valor in otro.items():
            for k, v in valor.items():
                if isinstance(v, dict) and k in cfg[clave]:
                    cfg[clave][k].update(v)
                else:
                    cfg[clave][k] = v
    return cfg


def de_la_barra(contenido: list) -> tuple[list[str], list[dict]]:
    "Los archivos de una barra lateral, y sus enlaces."
    archivos, enlaces = [], []
    for e in contenido:
        if isinstance(e, str):
            archivos.append(e)
        elif 'section' in e:
            a, b = de_la_barra(e['contents'])
            archivos, enlaces = archivos + a, enlaces + b
        else:
            enlaces.append(e)
    return archivos, enlaces


def test_opciones_de_quarto():
    cfg = configuracion()

    def sobran(valor, ruta=''):
        if not isinstance(valor, dict) or ruta not in OPCIONES:
            return []
        mal = [f'{ruta}.{k}'.strip('.') for k in valor if k not in OPCIONES[ruta].split()]
        return mal + [o for k, v in valor.items() for o in sobran(v, f'{ruta}.{k}'.strip('.'))]

    assert sobran(cfg) == []
    assert cfg['lang'] == 'es'
    assert cfg['project'] == {'type': 'website', 'output-dir': '_docs', 'resources': ['tarjeta.png']}
    assert cfg['format']['html']['code-overflow'] == 'wrap' and cfg['website']['navbar']['logo-alt']
    assert set(cfg['format']['html']['theme'].values()) <= set(TEMAS) and set(cfg['format']['html']['theme']) == {
        'light',
        'dark',
    }
    assert cfg['website']['navbar']['search'] is True
    assert (
        set(cfg['website']['repo-actions']) <= {'edit', 'source', 'issue'}
        and cfg['website']['repo-subdir'] == CFG['nbs_path']
    )
    assert cfg['website']['sidebar']['style'] in ('docked', 'floating')
    assert cfg['website']['twitter-card']['card-style'] in ('summary', 'summary_large_image')


def test_archivos_que_nombra(sitio):
    "Los estilos, el guion, el logotipo y la tarjeta existen, y nbdev los copia donde Quarto los buscará."
    html, web = (cfg := configuracion())['format']['html'], cfg['website']
    for n in (
        html['css'],
        html['include-after-body'],
        *cfg['filters'],
        web['favicon'],
        web['image'],
        web['navbar']['logo'],
        *cfg['metadata-files'],
        '404.qmd',
        '_quarto.yml',
        'colab.svg',
    ):
        assert (sitio.proc / n).is_file(), n
        assert (NBS / n).stat().st_size < 500_000, n


def test_tarjeta():
    from PIL import Image

    assert Image.open(NBS / configuracion()['website']['image']).size == (
        1200,
        630,
    )  # lo que piden Open Graph y Twitter


def test_barra_lateral(sitio):
    "Cada cuaderno está una vez, en su grupo, y nbdev no reescribe el archivo."
    contenido = configuracion()['website']['sidebar']['contents']
    archivos, enlaces = de_la_barra(contenido)
    assert sorted(a for a in archivos if a.endswith('.ipynb')) == sorted(
        f.relative_to(NBS).as_posix() for f in CUADERNOS
    )
    assert [a for a in archivos if not (NBS / a).is_file()] == []
    fases = next(e for e in contenido if isinstance(e, dict) and 'fases' in e['section'])['contents']
    assert fases == [f.name for f in CUADERNOS if re.match(r'0[0-4]_', f.name)]
    for e in enlaces:
        assert e['href'].startswith(f"https://github.com/{CFG['user']}/{CFG['repo']}/blob/{CFG['branch']}/")
        assert (RAIZ / e['href'].rpartition('/')[2]).is_file(), e['href']
    assert (sitio.carpeta / 'nbs' / 'sidebar.yml').read_text(encoding='utf-8') == (NBS / 'sidebar.yml').read_text(
        encoding='utf-8'
    ), 'settings.ini debe decir custom_sidebar = True'


def test_nbdev_yml_al_dia(sitio):
    assert (sitio.carpeta / 'nbs' / 'nbdev.yml').read_text(encoding='utf-8') == (NBS / 'nbdev.yml').read_text(
        encoding='utf-8'
    )


def test_nbdev_no_avisa(sitio):
    assert not sitio.salida.strip()


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_cabecera(cuaderno):
    "La celda del título tiene solo título y descripción: nbdev la convierte en cabecera y el resto se perdería."
    titulo = next(c for c in celdas(cuaderno) if c['cell_type'] == 'markdown')
    assert re.fullmatch(r'# [^\n]+\n+> [^\n`]+\n*', titulo['texto']), (
        f"celda {titulo['id']}: deje en ella «# Título» y «> descripción», sin código, y lo demás en otra"
    )


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_sin_caracteres_de_control(cuaderno):
    r"El `\b` de `\big`, escrito desde Python, es un retroceso: en la página, una fórmula que no se entiende."
    assert [c['id'] for c in celdas(cuaderno) if re.search(r'[\x00-\x08\x0b-\x1f\x7f]', c['texto'])] == []


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_importaciones_aparte(cuaderno):
    "nbdev ejecuta, al hacer el sitio, las celdas con `import` de los cuadernos que exportan: no deben hacer nada más."
    todas = celdas(cuaderno)
    if not any('export' in directivas(c['texto']) for c in todas):
        pytest.skip('no exporta nada: nbdev no ejecuta sus celdas')
    malas = []
    for c in todas:
        if (
            c['cell_type'] != 'code'
            or {'export', 'exports', 'exporti'} & directivas(c['texto'])
            or re.search(r'^#\|\s*eval:\s*false', c['texto'], re.M)
        ):
            continue
        nodos = list(ast.walk(ast.parse(c['texto'])))
        if any(isinstance(n, (ast.Import, ast.ImportFrom)) for n in nodos) and any(
            isinstance(n, (ast.Expr, ast.Assign)) for n in nodos
        ):
            malas.append(c['id'])
    assert malas == []


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_texto_alternativo(cuaderno):
    faltan = [
        c['id']
        for c in celdas(cuaderno)
        if 'fig-alt' not in directivas(c['texto'])
        and any(t.startswith('image/') for o in c.get('outputs', []) for t in o.get('data', {}))
    ]
    assert faltan == [], 'ponga «#| fig-alt: "lo que se ve"» en esas celdas'


def test_salidas_para_leer():
    "Ni una `Series` con su `dtype`, que no es una tabla, ni un texto cortado con puntos suspensivos dentro de una."
    assert [de for de, d in salidas() if 'text/html' not in d and 'dtype:' in ''.join(d.get('text/plain', ''))] == []
    assert [de for de, d in salidas() if re.search(r'\.{3}</t[dh]>', ''.join(d.get('text/html', '')))] == []


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_enlaces_relativos(cuaderno):
    enlaces = [
        m
        for c in celdas(cuaderno)
        if c['cell_type'] == 'markdown'
        for m in re.findall(r'\]\(([^)\s]+)\)', re.sub(r'```.*?```', '', c['texto'], flags=re.S))
    ]
    rotos = [
        o
        for o in enlaces
        if not re.match(r'[a-z][a-z0-9+.-]*:|#', o) and not (cuaderno.parent / o.partition('#')[0]).is_file()
    ]
    assert rotos == []


@pytest.mark.parametrize('cuaderno', CUADERNOS, ids=lambda f: f.stem)
def test_api(sitio, cuaderno):
    "De cada función o clase exportada hay una ficha, con su firma y los comentarios de sus parámetros."
    publicas = {
        n.name: n
        for c in celdas(cuaderno)
        if 'export' in directivas(c['texto'])
        for n in ast.parse(c['texto']).body
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and not n.name.startswith('_')
    }
    fichas = [
        ''.join(o['data']['text/markdown'])
        for c in celdas(sitio.proc / cuaderno.relative_to(NBS))
        if c['texto'].rstrip().rpartition('\n')[2].startswith('show_doc(')
        for o in c['outputs']
        if 'text/markdown' in o.get('data', {})
    ]
    de = {re.search(r'^### (.+)$', f, re.M)[1].rpartition('.')[2]: f for f in fichas}
    assert publicas.keys() <= de.keys()
    # nbdev no encuentra el código de lo que lleva otro decorador además de @patch
    sencillas = [
        n for n, x in publicas.items() if all(getattr(d, 'id', '') in ('patch', 'dataclass') for d in x.decorator_list)
    ]
    assert [n for n in sencillas if not re.search(r'\[source\]\(https://github\.com/\S+#L\d+\)', de[n])] == []


def test_api_en_espanol(sitio):
    fichas = '\n'.join(
        ''.join(o['data'].get('text/markdown', ''))
        for c in celdas(sitio.proc / '02_normas.ipynb')
        for o in c.get('outputs', [])
        if 'data' in o
    )
    assert '# norma de cada fila, `(n,)`' in fichas and 'Norma euclídea de cada embedding' in fichas


@pytest.mark.skipif(not shutil.which('pandoc'), reason='falta pandoc, que ejecuta el filtro de las fichas de la API')
def test_filtro_de_la_api():
    """La firma, en una tabla: cada parámetro, con su tipo, su valor y lo que es, venga o no en línea propia.
    Los enlaces a lo privado, y los que nbdev pone dentro de otro, fuera."""
    from paginas import pandoc

    firma = """def f(
    x:__main__.Sonido, y=3, # de [`abrir`](https://a.io/x.html#abrir) y [`_a`](https://a.io/x.html#_a)
    # y más
    z:list[int] | None=', #', w:NoneType=None, p:str <Una ayuda, «así» (o no)>='a', μ1:float=0, **opciones
)->img2audio.x.Tensor: # `(n,)`"""
    md = (
        '[source](https://github.com/a/b/blob/main/x.py#L1){target="_blank"}\n\n'
        f'### f\n\n```python\n{firma}\n```\n\n*Hace.*\n\n'
        'Ver [`abrir`](https://a.io/x.html) y [`_cerrar`](https://a.io/x.html#_cerrar), o [[`f`](https://a.io)](b.html).\n'
        '\n```python\ndef ejemplo(x): pass\n```\n\n### g\n\n```python\ndef g(\n    *args, **kwargs\n):\n```\n'
    )
    html = BeautifulSoup(pandoc(md, NBS / configuracion()['filters'][0]), 'html.parser')
    assert html.a.text == 'código' and 'source' not in html.text
    filas = [[c.get_text(' ', strip=True) for c in r.select('th, td')] for r in html.table.select('tr')]
    assert filas == [
        ['nombre', 'tipo', 'por\u00a0defecto', 'qué\u00a0es'],
        ['x', 'Sonido', '', ''],
        ['y', '', '3', 'de abrir y _a y más'],
        ['z', 'list[int] | None', "', #'", ''],
        ['w', '', 'None', ''],
        ['p', 'str', "'a'", 'Una ayuda, «así» (o no)'],
        ['μ1', 'float', '0', ''],
        ['**opciones', '', '', 'las demás opciones, por su nombre'],
        ['devuelve', 'Tensor', '', '(n,)'],
    ]
    assert [a['href'] for a in html.table.select('a')] == ['https://a.io/x.html#abrir']
    parrafo = html.find(lambda e: e.name == 'p' and e.text.startswith('Ver'))
    assert parrafo.text == 'Ver abrir y _cerrar, o f.'
    assert [a['href'] for a in parrafo.select('a')] == ['https://a.io/x.html', 'b.html']
    assert [p.text.strip() for p in html.select('pre')] == ['def ejemplo(x): pass']  # un ejemplo no es una firma
    assert html.find('p', string='Hace.').find_next('table') is html.table  # primero lo que hace, y luego cómo se llama


@pytest.mark.skipif(not shutil.which('pandoc'), reason='falta pandoc')
def test_filtro_de_las_tablas():
    "Cada columna, lo que pida; «0,84 ± 0,02» y «≥ 0,9», sin partir; y las muchas opciones, plegadas."
    from paginas import pandoc

    filtro = NBS / configuracion()['filters'][0]
    tabla = pandoc(f'| a | b |\n|---|---|\n| {"muy largo " * 20} | 0,84 ± 0,02, ≥ 0,9, 95 % |\n\n--help\n', filtro)
    assert '<col' not in tabla and '--help' in tabla
    assert '0,84\u00a0±\u00a00,02, ≥\u00a00,9, 95\u00a0%' in tabla
    muchos = ''.join(f'    a{i}:int={i}, # uno\n' for i in range(12))
    html = pandoc(f'### f\n\n```python\ndef f(\n{muchos}):\n```\n', filtro)
    assert '<summary>12 parámetros</summary>' in html and html.count('<tr') == 13


@contextmanager
def en_pagina(navegador, carpeta: Path, cuerpo: str, ancho: int):
    "Una página abierta con ese cuerpo, nuestros estilos y nuestro guion; no debe moverse a los lados."
    from paginas import CASCARA

    for n in ('styles.css', 'logo.svg'):
        shutil.copy(NBS / n, carpeta / n)
    marco = dict(titulo='Tablas', descripcion='', barra='', raiz='', fondo='#000', tinta='#fff', logo='logo')
    marco['accesible'] = (NBS / 'accesible.html').read_text(encoding='utf-8')
    (carpeta / 'pagina.html').write_text(CASCARA.format(cuerpo=cuerpo, **marco), encoding='utf-8')
    pagina = navegador.new_page(viewport={'width': ancho, 'height': 900})
    pagina.goto((carpeta / 'pagina.html').as_uri())
    assert pagina.evaluate('document.documentElement.scrollWidth - innerWidth') <= 0
    yield pagina
    pagina.close()


@pytest.mark.parametrize('ancho', [390, 1280])
def test_tabla_ancha(navegador, tmp_path, ancho):
    "Las cifras, con coma y sin partir; el texto largo, en pocos renglones; y lo que no cabe, se desplaza en su caja."
    nota = 'una nota que explica despacio, y con bastantes palabras, de dónde sale la cifra que tiene a su lado ' * 2
    cifras = ['0.84 ± 0.02', '-0.5', '1.5e-07', '(128, 128)', '0.1.1', '605 MB', 'AudioLDMPipeline'] * 2
    fila = '<tr><th>0</th>' + ''.join(f'<td>{c}</td>' for c in [*cifras, nota]) + '</tr>'
    clave = '<td><a href="#"><code>CodificadorCLAPLaion</code></a></td>'
    llana = f'{clave}<td>0.5</td>{f"<td>{nota}</td>" * 3}'
    llana = f'<table><thead><tr>{"<th>qué es</th>" * 5}</tr></thead><tbody><tr>{llana}</tr></tbody></table>'
    cabeza = '<thead><tr>' + '<th>una</th>' * (len(cifras) + 2) + '</tr></thead>'
    pandas = f'<div class="cell-output"><table class="dataframe">{cabeza}<tbody>{fila}</tbody></table></div>'
    with en_pagina(navegador, tmp_path, pandas + llana, ancho) as pagina:
        vistas, cajas = pagina.evaluate(CELDAS), pagina.evaluate(CAJAS)
    assert not any(c['fuera'] for c in vistas)
    assert cajas == [[True, 0]] * 2  # se desplazan, y también con el teclado
    dichas = ['0,84\u00a0±\u00a00,02', '-0,5', '1,5e-07', '(128, 128)', '0.1.1', '605 MB', 'AudioLDMPipeline'] * 2
    assert [c['texto'] for c in vistas][1:15] == dichas
    assert [c['texto'] for c in vistas][16:18] == ['CodificadorCLAPLaion', '0.5']  # lo que no es de pandas, como está
    assert {c['lineas'] for c in vistas if c['texto'] != nota.strip()} == {1}
    assert [c['lineas'] <= 9 for c in vistas if c['texto'] == nota.strip()] == [True] * 4


@pytest.mark.parametrize('ancho, columnas', [(390, 1), (1280, 3)])
def test_rejilla_de_reproductores(navegador, tmp_path, monkeypatch, ancho, columnas):
    "Los pone en rejilla quien los escribe, sin ayuda de los estilos: en JupyterLab y en Colab se ven igual."
    from img2audio.comun.sonidos import Sonido, reproductores

    vistos = []
    monkeypatch.setattr('IPython.display.display', vistos.append)
    reproductores([Sonido(np.full(800, 0.1, np.float32))] * 4, ['uno', 'dos', 'tres', 'un título largo, de dos líneas'])
    with en_pagina(navegador, tmp_path, vistos[0].data, ancho) as pagina:
        lados = pagina.evaluate("[...document.querySelectorAll('figure')].map(f => f.getBoundingClientRect().left)")
    assert len(lados) == 4 and len(set(lados)) == columnas


@pytest.mark.skipif(not shutil.which('pandoc'), reason='falta pandoc')
@pytest.mark.parametrize('ancho', [390, 1280])
def test_captura_de_la_aplicacion(navegador, tmp_path, ancho):
    "En la portada y en su página, al tocarla se abre entera; y en un teléfono se desplaza en su caja."
    from paginas import pandoc

    for cuaderno in (NBS / 'index.ipynb', NBS / 'puertas' / 'aplicacion.ipynb'):
        (texto,) = (c['texto'] for c in celdas(cuaderno) if 'aplicacion.png)' in c['texto'])
        (md,) = re.findall(r'^\[!\[.+\]\(.*\)\]\(.*\)$', texto, re.M)
        (tmp_path / 'puertas').mkdir(exist_ok=True)
        for destino in ('aplicacion.png', 'puertas/aplicacion.png'):
            shutil.copy(NBS / 'puertas' / 'aplicacion.png', tmp_path / destino)
        cuerpo = pandoc(md, NBS / configuracion()['filters'][0])
        with en_pagina(navegador, tmp_path, cuerpo, ancho) as pagina:
            ancha = pagina.evaluate("document.querySelector('main img').classList.contains('ancha')")
            caja = pagina.evaluate("(p => p.scrollWidth > p.clientWidth)(document.querySelector('main p'))")
            pagina.locator('main img').click()
            pagina.wait_for_url('**/aplicacion.png')
        assert ancha == caja == (ancho == 390)


@pytest.mark.parametrize('ancho', [390, 1280])
def test_tablas_de_los_cuadernos(navegador, tmp_path, ancho):
    "Las de todos los cuadernos: ninguna se sale de la página, ni deja una cifra partida o un texto en un hilo."
    htmls = [''.join(d['text/html']) for _, d in salidas() if '<table' in ''.join(d.get('text/html', ''))]
    tablas = [BeautifulSoup(h, 'html.parser').table for h in htmls]
    cuerpo = ''.join(f'<div class="cell-output">{t}</div>' for t in tablas if not t.audio)
    with en_pagina(navegador, tmp_path, cuerpo, ancho) as pagina:
        vistas = pagina.evaluate(CELDAS)
    assert len(vistas) > 1000 and not any(c['fuera'] for c in vistas)
    cifra = re.compile(r'[-−]?[\d.,]+(e[-+]?\d+)?(\s±\s[\d.,]+)?')
    assert [c['texto'] for c in vistas if cifra.fullmatch(c['texto']) and c['lineas'] > 1] == []
    assert [c['texto'] for c in vistas if re.fullmatch(r'-?\d+\.\d+', c['texto'])] == []
    assert [c['texto'] for c in vistas if c['lineas'] > 7 and c['ancho'] < 200] == []


def test_404():
    _, cabecera, texto = (NBS / '404.qmd').read_text(encoding='utf-8').split('---\n', 2)
    cabecera = yaml.safe_load(cabecera)
    assert cabecera['title'] and cabecera['search'] is False
    for o in re.findall(r'\]\(([^)\s]+)\)', texto):
        assert o.startswith('https:') or (NBS / o).is_file(), o


def test_colab():
    r = subprocess.run(
        [sys.executable, RAIZ / 'herramientas' / 'colab.py', '--comprobar'],
        capture_output=True,
        text=True,
        encoding='utf-8',
    )
    assert r.returncode == 0, r.stdout


def test_ejecutar(tmp_path):
    "De lo que sale al ejecutar un cuaderno se guarda lo que sirve sin núcleo, y de la misma manera cada vez."
    import nbformat

    sys.path.insert(0, str(RAIZ / 'herramientas'))
    from ejecutar import WIDGET
    from ejecutar import ejecutar as correr

    codigo = (
        'import sys\nprint("hola")\nprint("aviso", file=sys.stderr)\n'
        f'display({{"{WIDGET}": {{"model_id": "x"}}}}, raw=True)\n1 + 1'
    )
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(codigo)], metadata={'widgets': {}}),
        tmp_path / 'a.ipynb',
    )
    correr(tmp_path / 'a.ipynb')
    nb = json.loads((tmp_path / 'a.ipynb').read_text(encoding='utf-8'))
    c = nb['cells'][0]
    assert [o.get('text') or o['data']['text/plain'] for o in c['outputs']] == [['hola\n'], ['2']]
    assert (
        'widgets' not in nb['metadata']
        and 'execution' not in c['metadata']
        and c['execution_count'] is None
        and ''.join(c['source']) == codigo
    )


def test_figuras_ligeras():
    "Una figura se guarda con pocos colores y se sigue viendo lo mismo; una transparente, tal cual."
    import io

    from PIL import Image

    sys.path.insert(0, str(RAIZ / 'herramientas'))
    from ejecutar import ligera

    def png(x):
        tampon = io.BytesIO()
        Image.fromarray(x).save(tampon, 'PNG')
        return tampon.getvalue()

    azar = np.random.default_rng(0)
    suave = np.add.outer(np.linspace(0, 200, 400), np.linspace(0, 50, 600))
    rgba = np.stack([suave + azar.normal(0, 2, suave.shape), suave, 255 - suave, 0 * suave + 255], axis=2)
    dibujo = rgba.clip(0, 255).astype(np.uint8)
    antes, despues = png(dibujo), ligera(png(dibujo))
    assert len(despues) < 0.6 * len(antes) and len(despues) < 200_000
    visto = np.asarray(Image.open(io.BytesIO(despues)).convert('RGB'), float)
    assert np.abs(visto - dibujo[..., :3]).mean() < 8
    assert len(ligera(despues)) <= len(despues)
    claro = np.full((200, 200, 4), 255, np.uint8)
    claro[50:, :, :3] = azar.integers(0, 256, (150, 200, 3))
    assert np.asarray(Image.open(io.BytesIO(ligera(png(claro)))).convert('RGB'))[:50].min() == 255
    dibujo[0, 0, 3] = 0
    assert ligera(png(dibujo)) == png(dibujo)


def ejecutar(carpeta: Path, *orden: str) -> subprocess.CompletedProcess:
    "Una orden de make con lo que haya en `carpeta` delante, y sin rehacer el entorno."
    camino = os.pathsep.join(
        [str(carpeta), *(o for o in os.environ['PATH'].split(os.pathsep) if not (Path(o) / 'quarto').exists())]
    )
    return subprocess.run(
        ['make', '-o', '.venv/.listo', *orden],
        cwd=RAIZ,
        env={**os.environ, 'PATH': camino},
        capture_output=True,
        text=True,
        encoding='utf-8',
    )


def guion(archivo: Path, texto: str) -> None:
    "Un ejecutable de mentira."
    archivo.write_text(f'#!/bin/sh\n{texto}\n', encoding='utf-8')
    archivo.chmod(0o755)


@pytest.mark.skipif(not shutil.which('make'), reason='falta make')
def test_make_sitio(tmp_path):
    "Sin Quarto, o con uno viejo, dice cómo conseguirlo y no hace nada; con él, llama a nbdev_docs."
    assert (r := ejecutar(tmp_path, 'sitio')).returncode and 'Falta Quarto' in r.stderr and 'quarto.org' in r.stderr
    guion(tmp_path / 'quarto', 'echo 1.3.450')
    assert (r := ejecutar(tmp_path, 'sitio')).returncode and 'este es el 1.3.450' in r.stderr
    guion(tmp_path / 'quarto', 'echo 1.10.2')
    for n in ('python', 'nbdev_docs'):
        guion(tmp_path / n, f'echo "{n} $@" >> {tmp_path}/hecho')
    r = ejecutar(tmp_path, 'sitio', f'BIN={tmp_path}')
    assert r.returncode == 0, r.stderr
    assert (tmp_path / 'hecho').read_text().split('\n')[:2] == ['python herramientas/leeme.py', 'nbdev_docs ']


@pytest.mark.parametrize('flujo', sorted((RAIZ / '.github' / 'workflows').glob('*.yml')), ids=lambda f: f.stem)
def test_flujos(flujo):
    "Con los permisos justos, y con cada acción y cada máquina en su versión exacta."
    y = yaml.safe_load(flujo.read_text(encoding='utf-8'))
    assert y['permissions'] == {'contents': 'read'}
    for nombre, t in y['jobs'].items():
        assert t['timeout-minutes'] <= 60 and t['runs-on'] != 'ubuntu-latest'
        assert set(t.get('permissions', {})) <= {'pages', 'id-token'}, nombre
        for p in t['steps']:
            if 'uses' in p:
                assert re.fullmatch(r'[\w.-]+/[\w./-]+@[0-9a-f]{40}', p['uses']), p['uses']
    assert not re.search(r'uses: \S+\s*$', flujo.read_text(encoding='utf-8'), re.M), (
        'al lado de cada acción, su versión'
    )


def test_flujos_hacen_lo_que_deben():
    pasos = {
        f.stem: [
            p.get('run') or p['uses'].partition('@')[0]
            for t in yaml.safe_load(f.read_text(encoding='utf-8'))['jobs'].values()
            for p in t['steps']
        ]
        for f in (RAIZ / '.github' / 'workflows').glob('*.yml')
    }
    matriz = yaml.safe_load((RAIZ / '.github' / 'workflows' / 'test.yml').read_text(encoding='utf-8'))['jobs']['test'][
        'strategy'
    ]['matrix']
    assert {(f['python'], f['orden']) for f in matriz['include']} == {
        ('3.11', '.ci/run pruebas'),
        ('3.13', '.ci/run pruebas'),
        ('3.11', 'make minimas'),
    }
    assert {'${{ matrix.orden }}', '.ci/run originales'} <= set(pasos['test'])
    assert 'make test' in (RAIZ / '.ci' / 'run').read_text(encoding='utf-8')
    assert [p for p in pasos['sitio'] if 'quarto' in p or 'make' in p or 'pages' in p] == [
        'quarto-dev/quarto-actions/setup',
        'make sitio',
        'actions/upload-pages-artifact',
        'actions/deploy-pages',
    ]


def test_cita():
    "Lo que exige el esquema 1.2.0 de Citation File Format, y que dice lo mismo que settings.ini."
    c = yaml.safe_load((RAIZ / 'CITATION.cff').read_text(encoding='utf-8'))
    assert c['cff-version'] == '1.2.0' and c['message'] and c['title'] and c['type'] == 'software'
    assert (str(c['version']), c['license']) == (CFG['version'], 'Apache-2.0')
    assert (c['repository-code'], c['url']) == (CFG['git_url'], CFG['doc_host'] + CFG['doc_baseurl'])
    for o in [c, *c['references']]:
        assert o['title'] and o['authors']
        for a in o['authors']:
            assert set(a) <= {'family-names', 'given-names', 'name', 'email'} and (
                'name' in a or {'family-names', 'given-names'} <= set(a)
            )
    for o in c['references']:
        assert o['type'] == 'conference-paper' and isinstance(o['year'], int) and (o.get('url') or o.get('doi'))


def test_cambios():
    texto = (RAIZ / 'CHANGELOG.md').read_text(encoding='utf-8')
    versiones = re.findall(r'^## \[([^\]]+)\](?: - \d{4}-\d\d-\d\d)?$', texto, re.M)
    assert versiones[0] == 'Sin publicar' and len(versiones) == len(re.findall(r'^## ', texto, re.M))
    assert set(re.findall(r'^### (.+)$', texto, re.M)) <= {
        'Añadido',
        'Cambiado',
        'Obsoleto',
        'Eliminado',
        'Corregido',
        'Seguridad',
    }
    for v in versiones:
        assert f'[{v}]: https://' in texto
    assert CFG['version'] in texto


def test_colaborar():
    "Lo que nombra CONTRIBUTING.md existe: órdenes de make, archivos y nombres de la biblioteca."
    texto = (RAIZ / 'CONTRIBUTING.md').read_text(encoding='utf-8')
    ordenes = re.findall(r'^([a-z][a-z ]*):', (RAIZ / 'Makefile').read_text(encoding='utf-8'), re.M)
    assert set(re.findall(r'make ([a-z]+)\b', texto)) <= {o for l in ordenes for o in l.split()}
    nombres = set()
    for f in (RAIZ / 'img2audio').rglob('[a-z]*.py'):
        for n in ast.parse(f.read_text(encoding='utf-8')).body:
            if isinstance(n, (ast.FunctionDef, ast.ClassDef)):
                nombres.add(n.name)
            if isinstance(n, ast.Assign):
                nombres |= {t.id for o in n.targets for t in ast.walk(o) if isinstance(t, ast.Name)}
            if isinstance(n, ast.ClassDef):
                nombres |= {m.name for m in n.body if isinstance(m, ast.FunctionDef)}
    ajenos = {'batch_size', 'default_exp', 'test_eq', 'test_close', 'test_fail', 'cargar_'}
    sin_codigo = re.sub(r'```.*?```', '', texto, flags=re.S)
    nombrados = {
        p
        for n in re.findall(r'`([A-Za-z_][\w.]*)(?:\(.*?\))?`', sin_codigo)
        if '_' in n or n[0].isupper()
        for p in n.split('.')
        if not re.search(r'\.(md|txt|ini|yml|ipynb)$', n)
    }
    assert nombrados - ajenos - nombres == set()
    assert {'PERDIDAS', 'cargar_descripciones', 'TuberiaImg2Audio'} <= nombrados  # que la búsqueda encuentra algo
    for n in re.findall(r'`((?:nbs/)?\w+\.(?:ipynb|yml|md|txt))`', texto):
        assert any((RAIZ / c / n).is_file() for c in ('', 'nbs', 'nbs/comun', 'nbs/taller', 'nbs/puertas')), n
