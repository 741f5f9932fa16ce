"En qué se confía: los pesos son números y nada más, el código no abre puertas, y los cuadernos no piden credenciales."

import ast
import json
import pickle
import random
import re
import shutil
import struct
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

from img2audio.comun.perfiles import Perfil, cargar_perfil
from img2audio.embeddings import CodificadorCLAP, CodificadorCLIP
from img2audio.integracion import _cargar, cargar_tuberia
from img2audio.puertas.originales import leer_pesos
from img2audio.taller.imitacion import crear_aleatorio

RAIZ = Path(__file__).resolve().parents[2]
MODULOS = sorted([*(RAIZ / 'img2audio').glob('*.py'), *(RAIZ / 'herramientas').glob('*.py')])
CUADERNOS = sorted((RAIZ / 'nbs').rglob('*.ipynb'))
PROHIBIDO = {  # llamada: por qué
    'pickle.load': 'ejecuta lo que trae',
    'pickle.loads': 'ejecuta lo que trae',
    'pickle.Unpickler': 'ejecuta lo que trae',
    'joblib.load': 'es un pickle',
    'pd.read_pickle': 'es un pickle',
    'dill.load': 'es un pickle',
    'marshal.loads': 'es código',
    'shelve.open': 'es un pickle',
    'eval': 'ejecuta texto',
    'exec': 'ejecuta texto',
    'os.system': 'pasa por la shell',
    'os.popen': 'pasa por la shell',
    'yaml.load': 'construye objetos',
    'tempfile.mktemp': 'se puede adelantar otro',
    'ssl._create_unverified_context': 'no mira el certificado',
    'notebook_login': 'pide una credencial',
    'huggingface_hub.login': 'pide una credencial',
    'login': 'pide una credencial',
    'getpass.getpass': 'pide una credencial',
}
CLAVES = dict(
    trust_remote_code=None, allow_pickle=False, weights_only=True, use_safetensors=True, verify=True, shell=False
)  # si se dan, con este valor; con `None`, nunca
CREDENCIAL = re.compile(r'HF_TOKEN|hf_[A-Za-z0-9]{20,}|\b(use_auth_)?token\s*=')


def puertas(codigo: str) -> list[str]:
    "Las llamadas que no debería haber en un código."
    malas = []
    for n in ast.walk(ast.parse(codigo)):
        if not isinstance(n, ast.Call):
            continue
        nombre, claves = ast.unparse(n.func), {k.arg: k.value for k in n.keywords}
        if nombre in PROHIBIDO:
            malas.append(f'línea {n.lineno}: {nombre} {PROHIBIDO[nombre]}')
        if nombre == 'torch.load' and 'weights_only' not in claves:
            malas.append(f'línea {n.lineno}: torch.load sin weights_only=True')
        if nombre == 'np.load' and 'allow_pickle' not in claves:
            malas.append(f'línea {n.lineno}: np.load sin allow_pickle=False')
        malas += [
            f'línea {n.lineno}: {k}={ast.unparse(v)}'
            for k, v in claves.items()
            if k in CLAVES and not (isinstance(v, ast.Constant) and CLAVES[k] is not None and v.value == CLAVES[k])
        ]
    return malas


def celdas(f: Path) -> list[str]:
    "El código de un cuaderno, sin las órdenes de IPython."
    return [
        ''.join(re.sub(r'^(\s*)[!%].*', r'\1pass', o) for o in c['source'])
        for c in json.loads(f.read_text(encoding='utf-8'))['cells']
        if c['cell_type'] == 'code' and '%%' not in ''.join(c['source'][:3])
    ]


def test_la_busqueda_encuentra(apuntar):
    "Que el rastreo no sea ciego."
    for mal in (
        'pickle.load(f)',
        'torch.load(f)',
        'torch.load(f, weights_only=False)',
        'np.load(f, allow_pickle=True)',
        'AutoModel.from_pretrained(x, trust_remote_code=True)',
        'x.from_pretrained(y, use_safetensors=False)',
        'eval(x)',
        'subprocess.run(x, shell=True)',
        'requests.get(u, verify=False)',
    ):
        assert puertas(mal), mal
        apuntar()
    assert not puertas(
        'torch.load(f, weights_only=True); np.load(f, allow_pickle=False); red.eval(); subprocess.run([a])'
    )


@pytest.mark.parametrize('f', MODULOS, ids=lambda f: f.stem)
def test_modulos_sin_puertas(f, apuntar):
    assert not puertas(f.read_text(encoding='utf-8'))
    apuntar()


@pytest.mark.parametrize('f', CUADERNOS, ids=lambda f: f.stem)
def test_cuadernos_sin_puertas_ni_credenciales(f, apuntar):
    for codigo in celdas(f):
        assert not puertas(codigo), codigo[:200]
        if not codigo.startswith('#| export'):
            assert not CREDENCIAL.search(codigo), codigo[
                :200
            ]  # los módulos explican qué hacer con la credencial de quien la tenga
    apuntar()


def test_los_modelos_se_cargan_de_safetensors(apuntar):
    "Cada modelo que `img2audio` carga para usarlo lo dice: `use_safetensors=True`."
    for modulo, cuantos in {'embeddings': 1, 'integracion': 5, 'comun/difusion': 2}.items():
        llamadas = [
            n
            for n in ast.walk(ast.parse((RAIZ / 'img2audio' / f'{modulo}.py').read_text(encoding='utf-8')))
            if isinstance(n, ast.Call)
            and isinstance(n.func, ast.Attribute)
            and n.func.attr == 'from_pretrained'
            and not re.search('Tokenizer|Processor|Extractor|FeatureExtractor', ast.unparse(n.func))
        ]
        for n in llamadas:
            assert 'use_safetensors' in {k.arg for k in n.keywords}, f'{modulo}, línea {n.lineno}'
            apuntar()
        assert len(llamadas) == cuantos


class Maligno:
    "Un objeto que, al deshacer su pickle, escribe un archivo."

    def __init__(self, chivato: Path):
        self.chivato = chivato

    def __reduce__(self):
        return open, (str(self.chivato), 'w')


@pytest.fixture(scope='module')
def modelos(tmp_path_factory) -> Path:
    d = tmp_path_factory.mktemp('confianza')
    crear_aleatorio(d / 'sano', 'diminuto')
    return d


def cargar(carpeta: Path, parte: str = '') -> None:
    "Todo lo que carga un perfil, o lo que carga esa parte."
    _cargar.cache_clear()
    if parte in ('', 'clip'):
        CodificadorCLIP(str(carpeta))
    if parte in ('', 'clap'):
        CodificadorCLAP(str(carpeta))
    if parte not in ('clip', 'clap'):
        cargar_tuberia(carpeta_perfil(carpeta))


def carpeta_perfil(carpeta: Path) -> Perfil:
    return Perfil(carpeta.name, *(str(carpeta / m) for m in ('clip', 'clap', 'audioldm', 'traductor')))


PARTES = ('clip', 'clap', 'traductor', 'audioldm/unet', 'audioldm/vae', 'audioldm/vocoder')
NOMBRES = ('pytorch_model.bin', 'diffusion_pytorch_model.bin', 'model.pt', 'model.ckpt')


@pytest.mark.parametrize('parte', PARTES)
@pytest.mark.parametrize('con_los_buenos', [True, False], ids=['al lado', 'en su lugar'])
def test_pickle_en_un_perfil(modelos, parte, con_los_buenos, tmp_path, apuntar):
    "Al lado de los pesos buenos, ni se mira; en su lugar, se rechaza. En ningún caso se ejecuta."
    d, chivato = tmp_path / 'perfil', tmp_path / 'ejecutado'
    shutil.copytree(modelos / 'sano', d)
    shutil.rmtree(d / 'audioldm' / 'text_encoder', ignore_errors=True)
    if not con_los_buenos:
        for f in (d / parte).glob('*.safetensors'):
            f.unlink()
    for n in NOMBRES:
        torch.save(dict(pesos=Maligno(chivato)), d / parte / n)
        apuntar()
    if con_los_buenos:
        cargar(d)
    else:
        with pytest.raises(OSError, match='safetensors'):
            cargar(d)
    assert not chivato.exists()


def test_pickle_en_un_archivo_de_pesos(tmp_path, apuntar):
    "Los `.pt` y `.ckpt` de los paquetes originales, y un pickle con nombre de safetensors."
    chivato = tmp_path / 'ejecutado'
    for n in ('a.pt', 'a.ckpt', 'b.pt', 'a.safetensors'):
        if n == 'b.pt':
            (tmp_path / n).write_bytes(pickle.dumps(dict(state_dict=Maligno(chivato))))
        else:
            torch.save(dict(state_dict=dict(w=torch.zeros(2)), optimizador=Maligno(chivato)), tmp_path / n)
        with pytest.raises(ValueError, match='no se abre|cortado o no es'):
            leer_pesos(tmp_path / n)
        apuntar()
    assert not chivato.exists()
    pickle.loads(pickle.dumps(Maligno(chivato))).close()
    assert chivato.exists()  # y el maligno lo era


def test_lo_que_se_entrena_no_lee_pickles(tmp_path, apuntar):
    "El estado de un entrenamiento, una tabla de embeddings, una referencia."
    from img2audio.comun.vectores import leer_embeddings
    from img2audio.taller.entrenamiento import _reanudar
    from img2audio.taller.evaluacion import cargar_referencia

    f, chivato = tmp_path / 'estado.safetensors', tmp_path / 'ejecutado'
    torch.save(Maligno(chivato), f)
    for leer in (lambda: _reanudar(f, {}, {}, {}, 'cpu'), lambda: leer_embeddings(f), lambda: cargar_referencia(f)):
        with pytest.raises((SafetensorError, ValueError)):
            leer()
        apuntar()
    assert not chivato.exists()


def dañar(datos: bytes, azar: random.Random) -> bytes:
    "Un safetensors estropeado de modo que se tenga que notar: cortado, con otra cabecera o con otra cosa."
    n = struct.unpack('<Q', datos[:8])[0]
    que = azar.randrange(6)
    if que == 0:
        return datos[: azar.randrange(len(datos))]
    if que == 1:
        return b''
    if que == 2:
        return struct.pack('<Q', azar.choice([0, n + 1, n - 1, 2**40, 2**63])) + datos[8:]
    if que == 3:
        return datos[:8] + bytes(azar.randrange(256) for _ in range(40)) + datos[48:]
    if que == 4:
        return datos + b'mas'
    return azar.choice([b'{}', b'PK\x03\x04' + datos[4:], datos[::-1], json.dumps({}).encode()])


CONFIGS = {  # lo que puede pasarle a un config.json
    'vacío': b'',
    'cortado': b'{"dimension": 5',
    'una lista': b'[]',
    'no es UTF-8': b'{"a": "\xff"}',
    'dimensión de texto': b'{"dimension": "muchas"}',
    'dimensión negativa': b'{"dimension": -3}',
    'dimensión otra': b'{"dimension": 7}',
    'oculta nula': b'{"oculta": null}',
    'memoria de más': b'{"memoria": 3}',
    'infinito': b'{"oculta": Infinity}',
    'enorme': b'{"oculta": 99999999999999}',
    'anidado': b'[' * 5000,
}


@pytest.mark.parametrize('parte', PARTES)
def test_pesos_dañados(modelos, parte, tmp_path, apuntar):
    "Un error que dice de qué perfil, y no una traza de otra biblioteca, ni un modelo a medio cargar."
    azar, d = random.Random(parte), tmp_path / 'perfil'
    shutil.copytree(modelos / 'sano', d)
    shutil.rmtree(d / 'audioldm' / 'text_encoder', ignore_errors=True)
    pesos = next((d / parte).glob('*.safetensors'))
    sanos = pesos.read_bytes()
    for _ in range(12):
        pesos.write_bytes(dañar(sanos, azar))
        with pytest.raises(OSError, match='No se pudo cargar el perfil «perfil»'):
            cargar(d, parte)
        apuntar()
    pesos.write_bytes(sanos)
    cargar(d)


@pytest.mark.parametrize('caso', CONFIGS)
def test_configuracion_del_traductor(modelos, caso, tmp_path, apuntar):
    p = carpeta_perfil(modelos / 'sano')
    (tmp_path / 'traductor').mkdir()
    shutil.copy(next(Path(p.traductor).glob('*.safetensors')), tmp_path / 'traductor')
    (tmp_path / 'traductor' / 'config.json').write_bytes(CONFIGS[caso])
    with pytest.raises(OSError, match='No se pudo cargar el perfil'):
        _cargar(Perfil('malo', p.clip, p.clap, p.audioldm, str(tmp_path / 'traductor')), 'cpu', torch.float32)
    apuntar()


def test_perfil_que_no_es(tmp_path, apuntar):
    "Una carpeta cualquiera, o casi vacía."
    for carpeta in (tmp_path, tmp_path / 'nada'):
        with pytest.raises((OSError, ValueError), match='«'):
            cargar_perfil(str(carpeta), con_traductor=True)
        apuntar()
