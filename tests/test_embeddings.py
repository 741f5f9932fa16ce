"Los embeddings, entre procesos: qué trozos se reconocen como propios, y qué deja quien muere escribiendo."

import os
import signal
import subprocess
import sys
import unicodedata
import warnings
from pathlib import Path

import pytest

ENTORNO = {**os.environ, 'HF_HUB_OFFLINE': '1', 'PYTHONUTF8': '1', 'OMP_NUM_THREADS': '1'}


def python(codigo: str, carpeta: Path, **entorno) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, '-c', codigo],
        cwd=carpeta,
        env=ENTORNO | entorno,
        capture_output=True,
        text=True,
        encoding='utf-8',
        timeout=300,
    )


# Una tabla que no viene de `base_mini` tal cual, sino de transformarla con funciones sueltas,
# y un corte en el segundo trozo
CORTADA = '''
from pathlib import Path
from img2audio import embeddings
from img2audio.base_de_datos import base_mini
from img2audio.comun import vectores
hechos, escribir = [], vectores.escribir_tabla
def anunciar(tabla, archivo):
    escribir(tabla, archivo)
    hechos.append(Path(archivo).name)
    if len(hechos) == {cortar}: import os; os._exit(9)
vectores.escribir_tabla = anunciar
tabla = base_mini(40).filter(lambda c: len(c) < 3, input_columns='clases')
tabla = tabla.map(lambda f: dict(caption=f['caption'].upper()))
embeddings.extraer_embeddings(tabla, 'tabla.parquet', parte=20, progreso=False)
print(*hechos)
'''


def test_otro_proceso_reconoce_los_trozos(tmp_path):
    "La huella no depende del proceso (ni de su `PYTHONHASHSEED`), ni de cómo se hizo la tabla."
    assert python(CORTADA.format(cortar=1), tmp_path, PYTHONHASHSEED='1').returncode == 9
    assert [f.name for f in next(tmp_path.glob('tabla.parquet.*.trozos')).iterdir()] == ['000000000.parquet']
    r = python(CORTADA.format(cortar=0), tmp_path, PYTHONHASHSEED='2')
    assert r.returncode == 0, r.stderr[-3000:]
    assert r.stdout.split() == ['000000020.parquet']
    assert [f.name for f in tmp_path.iterdir()] == ['tabla.parquet']


ESCRIBE_TXT = '''
import numpy as np
from datasets import Dataset
from img2audio.comun.vectores import guardar_txt
v = np.full((20_000, 512), .1, np.float32)
print('empieza', flush=True)
guardar_txt(Dataset.from_dict(dict(caption=['a']*len(v), clip=v, clap=v)), 'textos')
'''


@pytest.mark.skipif(not hasattr(signal, 'SIGKILL'), reason='sin SIGKILL')
def test_morir_escribiendo_textos(tmp_path):
    "A mitad no hay carpeta con el nombre final; la vez siguiente se escribe entera."
    from datasets import Dataset

    from img2audio.comun.vectores import guardar_txt, leer_txt

    proceso = subprocess.Popen(
        [sys.executable, '-c', ESCRIBE_TXT], cwd=tmp_path, env=ENTORNO, stdout=subprocess.PIPE, text=True
    )
    parcial = tmp_path / 'textos.parcial'
    while proceso.poll() is None and not (parcial / '000000010.txt').exists():
        pass
    proceso.kill()
    proceso.communicate()
    assert proceso.returncode == -signal.SIGKILL
    assert parcial.is_dir() and not (tmp_path / 'textos').exists()
    v = [[0.5] * 512] * 3
    guardar_txt(Dataset.from_dict(dict(caption=['a', 'b', 'c'], clip=v, clap=v)), tmp_path / 'textos')
    assert list(leer_txt(tmp_path / 'textos')['caption']) == ['a', 'b', 'c']
    assert not parcial.exists()


def test_un_corte_no_cambia_ni_un_bit(tmp_path, monkeypatch):
    "CLAP falla en el tercer trozo; después solo codifica lo que faltaba, rehace lo dañado y no mezcla repartos."
    from img2audio.base_de_datos import base_mini
    from img2audio.comun.vectores import leer_embeddings
    from img2audio.embeddings import CodificadorCLAP, extraer_embeddings

    de_verdad, base = CodificadorCLAP.texto, base_mini(60)
    cortada, entera = tmp_path / 'cortada.parquet', tmp_path / 'entera.parquet'

    def extraer(archivo: Path, hasta: int | None = None, parte: int = 25) -> list[int]:
        "Cuántos textos se le piden a CLAP cada vez; se corta en la llamada `hasta`."
        veces = []

        def texto(self, textos, *resto):
            if len(veces) == hasta:
                raise InterruptedError('se fue la luz')
            veces.append(len(textos))
            return de_verdad(self, textos, *resto)

        monkeypatch.setattr(CodificadorCLAP, 'texto', texto)
        extraer_embeddings(base, archivo, parte=parte, progreso=False)
        return veces

    def bits(archivo: Path) -> list[bytes]:
        return [leer_embeddings(archivo)[c][:].numpy().tobytes() for c in ('clip', 'clap')]

    with pytest.raises(InterruptedError, match='se fue la luz'):
        extraer(cortada, hasta=2)
    assert not cortada.exists()
    assert extraer(cortada) == [10]  # de 25, 25 y 10, solo faltaban las 10 últimas
    assert extraer(entera) == [25, 25, 10]
    assert bits(cortada) == bits(entera)
    cortada.unlink()
    with pytest.raises(InterruptedError):
        extraer(cortada, hasta=2)
    trozo = next(tmp_path.glob('cortada*.trozos')) / '000000000.parquet'
    trozo.write_bytes(trozo.read_bytes()[:5000])
    extraer(cortada, parte=20)  # con otro reparto, otros trozos
    assert len(leer_embeddings(cortada)) == 60
    assert extraer(cortada) == [25, 10]
    assert bits(cortada) == bits(entera)
    assert sorted(f.name for f in tmp_path.iterdir()) == ['cortada.parquet', 'entera.parquet']


def test_tablas_que_no_sirven(tmp_path):
    "Se rechazan antes de cargar ningún modelo: aquí no hay ninguno que cargar."
    from datasets import Dataset

    from img2audio.embeddings import extraer_embeddings

    for columnas, dice in (
        (dict(texto=['a']), 'no tiene columna «caption»'),
        (dict(caption=['a'], clip=[0.0]), 'ya tiene'),
        (dict(caption=[]), 'ninguna descripción'),
        (dict(caption=['a', None]), 'El texto 1 de la lista'),
    ):
        with pytest.raises((TypeError, ValueError), match=dice):
            extraer_embeddings(Dataset.from_dict(columnas), tmp_path / 'tabla.parquet', 'no-hay')
    with pytest.raises(TypeError, match='llegó list'):
        extraer_embeddings(['a'], tmp_path / 'tabla.parquet', 'no-hay')
    with pytest.raises(ValueError, match='parte debe ser al menos 1'):
        extraer_embeddings(Dataset.from_dict(dict(caption=['a'])), tmp_path / 'tabla.parquet', 'no-hay', parte=0)


# --- Cómo llega un texto, y qué números salen: en este proceso ---


@pytest.fixture(scope='module')
def codificadores():
    from img2audio.embeddings import CodificadorCLAP, CodificadorCLIP

    return dict(clip=CodificadorCLIP(), clap=CodificadorCLAP())


def test_lo_que_no_es_una_lista_se_dice(codificadores):
    "Textos, imágenes y ondas que no valen: el error los señala. Nada que codificar da una tabla vacía."
    import numpy as np

    clip, clap = codificadores['clip'], codificadores['clap']
    silbido = np.sin(2 * np.pi * 440 * np.arange(16_000) / 16_000).astype(np.float32)
    for cod in (clip, clap):
        assert cod.texto([]).shape == (0, 512)
        assert not cod.texto(['a']).is_inference()  # se puede aprender de ellos
        for malo, dice in (
            ('lluvia', 'lista de textos y llegó str'),
            (None, 'llegó NoneType'),
            (['a', None], 'El texto 1 .*NoneType'),
            ([float('nan')], 'sino float: nan'),
            (['mal le\udced do'], 'no es Unicode válido'),
        ):
            with pytest.raises((TypeError, ValueError), match=dice):
                cod.texto(malo)
        with pytest.raises(ValueError, match='batch_size debe ser al menos 1, y es 0'):
            cod.texto(['a'], batch_size=0)
    assert clip.imagen([]).shape == (0, 512) and clap.audio([]).shape == (0, 512)
    for malo, dice in (
        ('🐶', 'lista de imágenes y llegó str'),
        (None, 'llegó NoneType'),
        (['🐶', 3], 'La imagen 1 de la lista es int'),
        ([b'esto no es una imagen'], 'No se pudo abrir'),
    ):
        with pytest.raises((TypeError, ValueError), match=dice):
            clip.imagen(malo)
    with pytest.raises(ValueError, match='y es -1'):
        clip.imagen(['🐶'], batch_size=-1)
    for malo, dice in (
        (silbido, 'lista de ondas y llegó una sola'),
        (None, 'lista de ondas'),
        ([None], 'de tipo object'),
        ([silbido, np.stack([silbido] * 2)], r'El sonido 1 de la lista tiene forma \(2, 16000\)'),
        ([np.append(silbido, np.nan)], 'El sonido 0 de la lista tiene muestras que no son números'),
        ([np.append(silbido, np.inf)], 'infinito'),
        ([(1000 * silbido).astype(np.int16)], 'de tipo int16'),
        ([np.zeros(0, np.float32)], 'con alguna muestra'),
    ):
        with pytest.raises((TypeError, ValueError), match=dice):
            clap.audio(malo)
    with pytest.raises(ValueError, match='La frecuencia debe ser positiva'):
        clap.audio([silbido], frecuencia=0)
    assert clap.audio(np.stack([silbido, -silbido])).shape == (2, 512)  # una matriz es una lista de ondas


@pytest.mark.parametrize('dispositivo', ['meta', 'nada', 'cuda:99'])
def test_el_dispositivo_que_no_hay(dispositivo):
    from img2audio.embeddings import CodificadorCLIP

    with pytest.raises(ValueError, match=f'no se puede usar el dispositivo «{dispositivo}»; se puede: cpu'):
        CodificadorCLIP('mini', dispositivo)


def coseno(cod, a: list[str], b: list[str]):
    from torch.nn.functional import cosine_similarity

    return cosine_similarity(cod.texto(a), cod.texto(b))


def de_ancho_doble(t: str) -> str:
    return ''.join(chr(ord(c) + 0xFEE0) if '!' <= c <= '~' else c for c in t)


VARIANTES = dict(
    mayúsculas=str.upper,
    inicial=str.capitalize,
    título=str.title,
    nfd=lambda t: unicodedata.normalize('NFD', t),
    nfkd_y_mayúsculas=lambda t: unicodedata.normalize('NFKD', t.upper()),
    espacios=lambda t: f'  {t}\t\n',
    dobles=lambda t: t.replace(' ', '  '),
    exclamación=lambda t: f'¡{t}!',
    pregunta=lambda t: f'¿{t}?',
    muchas=lambda t: f'{t}!!!',
    comillas=lambda t: f'«{t}»',
    inglesas=lambda t: f'"{t}"',
    curvas=lambda t: f'“{t}”',
    simples=lambda t: f"'{t}'",
    paréntesis=lambda t: f'({t})',
    guion=lambda t: f'- {t}',
    raya=lambda t: f'—{t}—',
    coma=lambda t: f'{t},',
    punto=lambda t: f'{t}.',
    emoji=lambda t: f'{t} 🎵',
    irrompible=lambda t: t.replace(' ', '\u00a0'),
    invisible=lambda t: f'\ufeff{t}\u200b',
    ancho=de_ancho_doble,
)


@pytest.mark.parametrize('variante', VARIANTES)
def test_las_variantes_de_un_texto_son_el_mismo(codificadores, variante, apuntar):
    from img2audio.base_de_datos import CONCEPTOS, base_mini

    textos = [*CONCEPTOS.values(), 'un helicóptero', "it's raining", 'A dog barks', *base_mini(40)['caption']]
    for nombre, cod in codificadores.items():
        c = coseno(cod, textos, [VARIANTES[variante](t) for t in textos])
        assert c.min() > 0.99, f'{nombre}: {textos[c.argmin()]}'
        apuntar(len(textos))


def test_nada_corta_un_texto_a_medias(codificadores):
    "Una letra, una cifra o un signo que CLIP no conozca no es el final de la frase."
    principios = ['un perro ladró', 'llovió', '3 perros', 'ñu', 'un perro (grande)']
    principios += ['un 50% de lluvia', 'ladra ¡ya!', 'œuvre', 'perro/gato']
    for cod in codificadores.values():
        assert coseno(cod, principios, [f'{p} y el mar' for p in principios]).max() < 0.999


def test_una_forma_de_unicode_para_todos():
    "También para un perfil que distinga mayúsculas, y que las sigue distinguiendo."
    from img2audio.comun.textos import textos_validos

    assert textos_validos([unicodedata.normalize('NFD', ' Un  helicóptero\n')]) == ['Un helicóptero']


def test_el_normalizador_es_el_del_archivo(tmp_path):
    "El de `mini` es el que dice el cuaderno, también vuelto a cargar; un RoBERTa sin ninguno se queda sin él."
    import json

    from transformers import RobertaTokenizer

    from img2audio.comun.perfiles import MINI
    from img2audio.comun.textos import cargar_tokenizer, normalizador_mini

    suyo = {}
    for pieza in ('clip', 'clap'):
        t = cargar_tokenizer(MINI / pieza)
        t.save_pretrained(tmp_path / pieza)
        for c in (MINI / pieza, tmp_path / pieza):
            suyo[c] = json.loads((c / 'tokenizer.json').read_text(encoding='utf-8'))['normalizer']
        assert cargar_tokenizer(tmp_path / pieza)('¡PERRO!') == t('perro')
        assert t('un perro.') == t('un perro')  # y además el punto final no les dice nada
    t.backend_tokenizer.normalizer = normalizador_mini()
    comun = json.loads(t.backend_tokenizer.to_str())['normalizer']['normalizers']
    for carpeta, n in suyo.items():
        suyos = n['normalizers']
        assert suyos[: len(comun)] == comun and len(suyos) == len(comun) + 1, carpeta
    RobertaTokenizer().train_new_from_iterator(['un perro, un Perro'], 300).save_pretrained(tmp_path / 'roberta')
    r = cargar_tokenizer(tmp_path / 'roberta')
    assert isinstance(r, RobertaTokenizer) and r('Perro')['input_ids'] != r('perro')['input_ids']


def test_setenta_y_siete_tokens(codificadores):
    "Lo que hay tras el token 20 cuenta; tras la 77, no, y se avisa."
    from img2audio.comun.textos import TextoAjeno

    for cod in codificadores.values():
        largo = 'lluvia y lluvia y ' * 12
        assert 20 < len(cod.tokenizer(largo)['input_ids']) < 77
        assert coseno(cod, [largo + 'un perro'], [largo + 'el mar']) < 0.999
        larguisimo = 'lluvia y ' * 60
        with pytest.warns(TextoAjeno, match='demasiado largo'):
            c = coseno(cod, [larguisimo + 'un perro'], [larguisimo + 'el mar'])
        assert c > 0.9999


def test_avisos_de_lo_que_apenas_se_lee(codificadores):
    "De otro alfabeto, o sin una sola letra. De lo que se lee, ninguno; y de muchos, uno solo."
    from img2audio.base_de_datos import SUJETOS, base_mini
    from img2audio.comun.textos import TextoAjeno

    for cod in codificadores.values():
        for texto in ('犬が吠えている', 'собака лает', 'الكلب ينبح', 'ο σκύλος γαβγίζει', '🐓', '¡¡!!', '개가 짖는다'):
            with pytest.warns(TextoAjeno, match='apenas sabe leer un texto'):
                cod.texto([texto, 'un perro'])
        with pytest.warns(TextoAjeno, match='leer 2 textos'):
            cod.texto(['犬が吠えている', 'собака лает'])
        with warnings.catch_warnings():
            warnings.simplefilter('error')
            cod.texto([t for c in SUJETOS.values() for ts in c.values() for t in ts])
            cod.texto([*base_mini(100)['caption'], '', 'ein Hund bellt', 'un tren pasa'])


def test_la_huella_es_de_los_pesos_y_de_los_tokenizers(codificadores):
    import copy

    import torch

    from img2audio.comun.vectores import huella_extraccion

    cods = list(codificadores.values())
    suya = huella_extraccion(['a'], 10, cods)
    codificadores['clip'].texto(['una frase cualquiera'])  # usarlos no la cambia
    assert huella_extraccion(['a'], 10, cods) == suya
    otras = {suya, huella_extraccion(['b'], 10, cods), huella_extraccion(['a'], 20, cods)}
    for i in (0, 1):
        c = copy.deepcopy(cods[i])
        with torch.no_grad():
            next(p for n, p in c.modelo.named_parameters() if n.startswith('text_'))[0, 0] += 1
        otras.add(huella_extraccion(['a'], 10, [c if k == i else x for k, x in enumerate(cods)]))
        c = copy.copy(cods[i])
        c.tokenizer = copy.deepcopy(c.tokenizer)
        c.tokenizer.backend_tokenizer.normalizer = None
        otras.add(huella_extraccion(['a'], 10, [c if k == i else x for k, x in enumerate(cods)]))
    assert len(otras) == 7


def test_clap_oye_lo_mismo_a_otra_frecuencia(codificadores):
    "Una sirena muestreada a 8, 16, 44,1 y 48 kHz es la misma; no la de 44,1 leída como si fuera de 16."
    import numpy as np
    from torch.nn.functional import cosine_similarity

    clap = codificadores['clap']

    def sirena(hz):
        t = np.arange(5 * hz) / hz
        return np.sin(2 * np.pi * (600 * t - 40 * np.cos(2 * np.pi * t))).astype(np.float32)

    debe = clap.audio([sirena(16_000)], 16_000)
    for hz in (8000, 44_100, 48_000):
        assert cosine_similarity(debe, clap.audio([sirena(hz)], hz)).item() > 0.98, hz
    assert cosine_similarity(debe, clap.audio([sirena(44_100)], 16_000)).item() < 0.9


class Letras:
    "Un tokenizer de una letra por token: 1 al principio y 2 al final."

    unk_token_id = None

    def __call__(self, textos, **_):
        return dict(input_ids=[[1, *map(ord, t), 2] for t in textos])


class DeNada(Letras):
    "Uno que no dice nada de ningún texto."

    def __call__(self, textos, **_):
        return dict(input_ids=[[1, 2] for _ in textos])


def test_hasta_donde_cabe_un_texto():
    "De 75 letras, entero y sin avisos; de 76, las 75 primeras, y el token de fin."
    from img2audio.comun.sistema import recoger_avisos
    from img2audio.comun.textos import tokenizar

    for n, avisa in ((75, False), (76, True), (200, True)):
        with recoger_avisos() as avisos:
            (tokens,) = tokenizar(['a' * n], Letras())
        assert tokens == [1, *[ord('a')] * 75, 2] and bool(avisos) == avisa


def test_menos_de_una_letra_por_token():
    from img2audio.comun.sistema import recoger_avisos
    from img2audio.comun.textos import tokenizar

    for texto, avisa in (('perro', False), ('a', False), ('7', False), ('', False), ('a!', True), ('!', True)):
        with recoger_avisos() as avisos:
            tokenizar([texto], Letras())
        assert bool(avisos) == avisa, texto
    with recoger_avisos() as avisos:
        tokenizar(['perro'], DeNada())
    assert len(avisos) == 1  # ni un token suyo


def test_los_bordes_de_los_sustitutos():
    from img2audio.comun.textos import textos_validos

    for c in ('\ud800', '\udfff'):
        pytest.raises(ValueError, textos_validos, [c]).match('no es Unicode válido')
    assert textos_validos(['\ud7ff', '\ue000']) == ['\ud7ff', '\ue000']


def test_de_una_en_una(tmp_path):
    "Trozos de una sola descripción: lo mismo que de una vez."
    import torch
    from datasets import Dataset

    from img2audio.embeddings import brecha_modal, extraer_embeddings

    base = Dataset.from_dict(dict(caption=['lluvia', 'un perro', 'lluvia']))
    una, todas = (extraer_embeddings(base, tmp_path / f'{n}.parquet', parte=n, progreso=False) for n in (1, 4096))
    for c in ('clip', 'clap'):
        assert torch.allclose(una[c][:], todas[c][:], atol=1e-4)
    a = torch.tensor([[2.0, 0.0], [0.0, 5.0]])  # su centro, (½, ½); el de la otra, (−1, 0)
    assert abs(brecha_modal(a, torch.tensor([[-3.0, 0.0]])) - 2.5**0.5) < 1e-6
