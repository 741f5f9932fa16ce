"""Los paquetes originales: lo que no necesita su entorno, siempre;
lo demás, donde está (`make test-originales` lo crea)."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from img2audio.comun.perfiles import PERFILES
from img2audio.comun.sistema import ErrorDeUso
from img2audio.embeddings import CodificadorCLAP
from img2audio.puertas import originales as org

RAIZ = Path(__file__).resolve().parents[1]
GUION = RAIZ / 'herramientas' / 'entorno_originales.sh'
FRASES = ['un perro ladra', 'cae la lluvia', 'el mar, de noche, muy lejos', '']


# --- Siempre ---


def test_el_modulo_se_lee_en_los_dos_entornos():
    "Arriba del todo solo se importa lo que hay en los dos."
    arriba = ast.parse((RAIZ / 'img2audio' / 'puertas' / 'originales.py').read_text(encoding='utf-8')).body
    modulos = {a.name for i in arriba if isinstance(i, ast.Import) for a in i.names} | {
        i.module for i in arriba if isinstance(i, ast.ImportFrom)
    }
    assert {m.split('.')[0] for m in modulos} - set(sys.stdlib_module_names) == {'numpy', 'torch', 'safetensors'}


def test_requisitos_fijos():
    lineas = [
        o
        for o in (RAIZ / 'requirements-originales.txt').read_text(encoding='utf-8').splitlines()
        if o and not o.startswith('#')
    ]
    assert not [o for o in lineas if not re.fullmatch(r'[A-Za-z0-9._-]+==[A-Za-z0-9._]+', o)]
    assert {'numpy==1.23.5', 'librosa==0.9.2', 'torchlibrosa==0.0.9', 'transformers==4.30.2'} <= set(lineas)
    assert 'laion-clap==1.1.7 audioldm==0.1.1' in GUION.read_text(encoding='utf-8')
    subprocess.run(['bash', '-n', str(GUION)], check=True)


def test_la_costura_en_este_entorno(monkeypatch):
    "Otro proceso lee el módulo, cumple la orden y devuelve el resultado; y si no puede, se dice qué dijo."
    monkeypatch.setenv(org.VARIABLE, sys.executable)
    assert org._pedir('versiones', dict(paquetes=['numpy'])).tolist() == [f'numpy {np.__version__}']
    with pytest.raises(ChildProcessError, match='paquete-que-no-existe.*entorno_originales.sh'):
        org._pedir('versiones', dict(paquetes=['paquete-que-no-existe']))


def test_sin_entorno(monkeypatch, tmp_path):
    monkeypatch.setenv(org.VARIABLE, str(tmp_path / 'python'))
    for f in (
        lambda: org.CodificadorCLAPLaion('x.pt'),
        lambda: org.AudioLDMOriginal('x.ckpt'),
        lambda: org.pesos_de_prueba(tmp_path),
    ):
        with pytest.raises(FileNotFoundError, match='entorno_originales.sh'):
            f()


def ejecutable(archivo: Path, guion: str) -> Path:
    archivo.parent.mkdir(parents=True, exist_ok=True)
    archivo.write_text(f'#!/bin/sh\n{guion}\n', encoding='utf-8')
    archivo.chmod(0o755)
    return archivo


def test_el_entorno_se_busca_tambien_fuera_del_proyecto(monkeypatch, tmp_path):
    "Con el paquete instalado de un wheel, en los datos del usuario, en la carpeta actual y en la raíz del proyecto."
    monkeypatch.delenv(org.VARIABLE, raising=False)
    monkeypatch.setenv('XDG_DATA_HOME', str(tmp_path / 'datos'))
    monkeypatch.setattr(org, 'PAQUETE', tmp_path / 'site-packages' / 'img2audio')
    dentro = tmp_path / 'proyecto' / 'nbs' / 'puertas'
    dentro.mkdir(parents=True)
    monkeypatch.chdir(dentro)
    with pytest.raises(FileNotFoundError) as e:
        org.python_originales()
    usuario = tmp_path / 'datos' / 'img2audio' / 'venv-originales'
    for algo in (dentro / '.venv-originales', usuario, 'entorno_originales.sh', org.VARIABLE):
        assert str(algo) in str(e.value)
    ajeno = ejecutable(tmp_path / '.venv-originales' / 'bin' / 'python', 'exit 0')  # donde no hay proyecto: no vale
    with pytest.raises(FileNotFoundError):
        org.python_originales()
    ejecutable(tmp_path / 'proyecto' / 'herramientas' / 'entorno_originales.sh', 'exit 0')
    sitios = [
        tmp_path / 'proyecto' / '.venv-originales',
        dentro / '.venv-originales',
        usuario,
        tmp_path / 'site-packages' / '.venv-originales',
    ]
    for sitio in sitios:  # cada uno, antes que los de atrás
        suyo = ejecutable(sitio / 'bin' / 'python', 'exit 0')
        assert org.python_originales() == str(suyo)
    monkeypatch.setenv(org.VARIABLE, str(ajeno))
    assert org.python_originales() == str(ajeno)


def correr_guion(
    tmp_path: Path,
    sistema: str,  # versión de su Python
    uv: bool = False,  # si lo hay
    apt: int = 0,  # con qué acaba `apt-get install -s`
) -> tuple[subprocess.CompletedProcess, str]:
    "El guion, como root, en un equipo fingido; y lo que se tocó."
    bin_, registro = tmp_path / 'bin', tmp_path / 'registro'
    bin_.mkdir(parents=True)
    registro.touch()

    def python(donde, version):
        return ejecutable(
            donde,
            f"""case "$*" in
  *version_info*) echo {version};;
  *"import torch"*) exit 1;;
  *ensurepip*) exit 0;;
  *) echo "$0 $*" >> {registro}; exit 7;;
esac""",
        )

    suyo, de_uv = python(bin_ / 'python3', sistema), python(tmp_path / 'uv' / 'python3.11', '3.11')
    for n in ('bash', 'dirname', 'cat'):
        (bin_ / n).symlink_to(shutil.which(n))
    ejecutable(bin_ / 'id', 'echo 0')
    ejecutable(bin_ / 'apt-get', f'case "$*" in *-s*) exit {apt};; esac; echo "apt-get $*" >> {registro}')
    if uv:
        ejecutable(bin_ / 'uv', f'echo "uv $*" >> {registro}; if [ "$2" = find ]; then echo {de_uv}; fi')
    guion = tmp_path / 'proyecto' / 'herramientas' / 'entorno_originales.sh'
    guion.parent.mkdir(parents=True)
    codigo = GUION.read_text(encoding='utf-8').replace('sistema=/usr/bin/python3', f'sistema={suyo}')
    guion.write_text(codigo, encoding='utf-8')
    entorno = dict(PATH=str(bin_), HOME=str(tmp_path))
    r = subprocess.run([str(bin_ / 'bash'), str(guion)], env=entorno, capture_output=True, text=True)
    assert not (tmp_path / 'proyecto' / '.venv-originales').exists()
    return r, registro.read_text(encoding='utf-8')


@pytest.mark.parametrize('version', ['3.10', '3.12', '3.14'])  # Ubuntu 22.04, 24.04 o Colab, y 26.04
def test_el_guion_no_toca_nada_sin_python_3_11(tmp_path, version):
    r, tocado = correr_guion(tmp_path, version)
    assert r.returncode == 1 and tocado == ''
    for algo in ('Python 3.11', 'uv', 'IMG2AUDIO_PYTHON_BASE', 'no se ha tocado nada'):
        assert algo in r.stderr


@pytest.mark.parametrize('version', ['3.10', '3.12', '3.14'])
def test_el_guion_con_uv(tmp_path, version):
    "uv trae el 3.11, y con él se hace el entorno; del sistema no se cambia nada."
    r, tocado = correr_guion(tmp_path, version, uv=True)
    assert r.returncode == 7 and 'apt-get' not in tocado and 'uv python install -q 3.11' in tocado
    assert re.search(r'uv/python3\.11 -m venv --clear \S+/\.venv-originales\n$', tocado)


def test_el_guion_en_debian_12(tmp_path):
    "Con el Python 3.11 del sistema, y como root, el torch de Debian; si apt no lo tiene, el de PyPI."
    r, tocado = correr_guion(tmp_path / 'con', '3.11')
    assert 'apt-get install -y' in tocado and 'python3-torch' in tocado
    assert tocado.endswith(f"-m venv --clear --system-site-packages {tmp_path / 'con'}/proyecto/.venv-originales\n")
    r, tocado = correr_guion(tmp_path / 'sin', '3.11', apt=100)
    assert (
        'apt-get install' not in tocado and 'torch 2.0.1 de PyPI' in r.stdout and '--system-site-packages' not in tocado
    )


def fingir(monkeypatch, nombre: str, *bases) -> type:
    "Una clase con ese nombre completo, que se puede guardar, y un módulo que la tiene."
    modulo, clase = nombre.rsplit('.', 1)
    hecha = type(clase, bases, dict(__module__=modulo))
    for m in {modulo.split('.')[0], modulo}:
        monkeypatch.setitem(sys.modules, m, ModuleType(m))
    setattr(sys.modules[modulo], clase, hecha)
    return hecha


def test_se_admiten_las_clases_de_lightning_y_ninguna_otra(tmp_path, monkeypatch):
    """Un checkpoint de imitación, con cada clase como llave y como objeto con estado;
    y se lee sin que estén sus módulos."""
    archivo, pesos = tmp_path / 'imitado.ckpt', dict(a=torch.ones(2))

    def guardar(nombre, *bases, **estado):
        with monkeypatch.context() as m:
            clase = fingir(m, nombre, *bases)
            objeto = clase()
            objeto.__dict__.update(estado)
            torch.save(dict(callbacks={clase: dict(mejor=torch.ones(1))}, otro=objeto, state_dict=pesos), archivo)

    for nombre, inerte in org.DE_LIGHTNING.items():
        if inerte is dict:
            guardar(nombre, dict)
        else:
            guardar(nombre, dirpath='/de/otro', monitor='val/loss')
        with pytest.raises(Exception, match=nombre):
            torch.load(archivo, weights_only=True)
        assert torch.equal(org.leer_pesos(archivo)['a'], pesos['a'])
        assert not [m for m in sys.modules if m.startswith('pytorch_lightning')]
    for ajena in (
        'pytorch_lightning.callbacks.timer.Timer',
        'pytorch_lightning.callbacks.ModelCheckpoint',
        'otro.Cosa',
    ):
        guardar(ajena)
        with pytest.raises(ErrorDeUso, match=re.escape(ajena) + '.*no se abre'):
            org.leer_pesos(archivo)


def test_los_checkpoints_se_nombran(monkeypatch):
    "En el error de la orden, con su dirección y cómo traerlo."
    from img2audio.puertas.atender import _generar

    with pytest.raises(ErrorDeUso, match='curl -L -o audioldm-full-s-v2.ckpt .*zenodo.org/record/7698295/'):
        _generar('audioldm', None, '🐓', {})


# --- Donde está el segundo entorno ---


@pytest.fixture(scope='module')
def aqui(tmp_path_factory) -> Path:
    "Checkpoints pequeños, al azar, hechos con las clases de los dos paquetes."
    try:
        org.python_originales()
    except FileNotFoundError as e:
        if os.environ.get('EXIGIR_ORIGINALES') == '1':
            pytest.fail(str(e))
        pytest.skip(str(e))
    return org.pesos_de_prueba(tmp_path_factory.mktemp('originales'))


@pytest.fixture(scope='module')
def pesos(aqui):
    return org.leer_pesos(aqui / 'clap.pt')


def test_misma_semilla_mismos_pesos(pesos, tmp_path):
    otros = org.leer_pesos(org.pesos_de_prueba(tmp_path, audioldm=False) / 'clap.pt')
    assert otros.keys() == pesos.keys() and all(torch.equal(v, pesos[k]) for k, v in otros.items())


@pytest.fixture(scope='module')
def ckpt(aqui):
    return org.leer_pesos(aqui / 'audioldm.ckpt')


@pytest.fixture(scope='module')
def ondas() -> list[np.ndarray]:
    t, azar = np.arange(12 * 16_000) / 16_000, np.random.default_rng(0)
    return [
        o.astype(np.float32)
        for o in (
            0.5 * np.sin(2 * np.pi * 440 * t),
            azar.normal(0, 0.2, len(t)),
            azar.normal(0, 0.3, 32_000) * np.exp(-3 * t[:32_000]),
        )
    ]


@pytest.fixture(scope='module')
def suyos(aqui, ondas) -> tuple[torch.Tensor, torch.Tensor]:
    "Los embeddings de `laion_clap`, de las frases y de las ondas."
    clap = org.CodificadorCLAPLaion(aqui / 'clap.pt', str(aqui / 'roberta'))
    assert clap.amodel == 'HTSAT-tiny' and clap.texto([]).shape == clap.audio([]).shape == (0, 512)
    return clap.texto(FRASES, batch_size=3), clap.audio(ondas, batch_size=2)


def nuestro(carpeta) -> CodificadorCLAP:
    return CodificadorCLAP(replace(PERFILES['mini'], nombre='convertido', clap=str(carpeta)))


def test_las_direcciones_son_las_del_paquete(aqui):
    codigo = 'import json\nfrom audioldm.utils import get_metadata\nprint(json.dumps(get_metadata()))'
    orden = [org.python_originales(), '-W', 'ignore', '-c', codigo]
    suyas = subprocess.run(orden, capture_output=True, text=True, check=True).stdout
    assert {n: m['url'] for n, m in json.loads(suyas.splitlines()[-1]).items()} == org.CHECKPOINTS


def test_el_archivo_es_como_los_originales(aqui, pesos):
    "Con números sueltos de numpy 1, que hacen que `torch.load` a secas lo rechace, y con `module.` en los nombres."
    with pytest.raises(Exception, match='numpy.core.multiarray.scalar'):
        torch.load(aqui / 'clap.pt', weights_only=True)
    assert 'audio_branch.tscam_conv.weight' in pesos and all(v.isfinite().all() for v in pesos.values())


def test_laion_y_transformers_dan_lo_mismo(aqui, pesos, ondas, suyos, tmp_path):
    textos, sonidos = suyos
    clap = nuestro(org.guardar_clap(pesos, tmp_path, str(aqui / 'roberta')))
    assert (clap.texto(FRASES) - textos).abs().max() < 1e-4
    assert (clap.audio(ondas) - sonidos).abs().max() < 1e-4
    for e in suyos:
        assert torch.cdist(e, e, p=float('inf')).fill_diagonal_(9).min() > 1e-2  # y no porque todo dé igual


@pytest.mark.parametrize(
    'a,b',
    [
        ('query', 'key'),
        ('layernorm_before', 'layernorm_after'),
        ('running_mean', 'running_var'),
        ('audio_projection.linear1.bias', 'audio_projection.linear2.bias'),
    ],
)
def test_la_comparacion_ve_un_peso_cambiado_de_sitio(pesos, ondas, suyos, aqui, tmp_path, a, b):
    clap = nuestro(org.guardar_clap(pesos, tmp_path, str(aqui / 'roberta')))
    bien = clap.modelo.state_dict()
    de_audio = [k for k in bien if 'audio' in k and a in k]
    clap.modelo.load_state_dict(
        {k: bien[k.replace(a, '#').replace(b, a).replace('#', b)] if 'audio' in k else bien[k] for k in bien}
    )
    assert de_audio and (clap.audio(ondas) - suyos[1]).abs().max() > 1e-3


def test_cada_llamada_da_lo_mismo(aqui, suyos):
    clap = org.CodificadorCLAPLaion(aqui / 'clap.pt', str(aqui / 'roberta'))
    assert (clap.texto(FRASES) - suyos[0]).abs().max() < 1e-6


def test_de_transformers_a_laion(aqui, pesos, ondas, tmp_path):
    "Un `ClapModel`, tocado aquí y escrito como lo guarda `laion_clap`, da allí lo mismo."
    modelo = org.a_transformers(pesos)
    vuelta = org.a_laion(modelo)
    assert vuelta.keys() == {k for k in pesos if not org._sobra(k)} and all(
        torch.equal(v, pesos[k]) for k, v in vuelta.items()
    )
    with torch.no_grad():
        for p in modelo.parameters():
            p.add_(0.02 * torch.randn(p.shape, generator=torch.Generator().manual_seed(p.numel())))
    torch.save(dict(epoch=1, state_dict=org.a_laion(modelo)), tmp_path / 'nuestro.pt')
    suyo, tok = org.CodificadorCLAPLaion(tmp_path / 'nuestro.pt', str(aqui / 'roberta')), str(aqui / 'roberta')
    clap = nuestro(org.guardar_clap(org.a_laion(modelo), tmp_path / 'carpeta', tok))
    assert (suyo.texto(FRASES) - clap.texto(FRASES)).abs().max() < 1e-4
    assert (suyo.audio(ondas[1:2]) - clap.audio(ondas[1:2])).abs().max() < 1e-4


def test_laion_rechaza(aqui, ondas, tmp_path):
    clap = org.CodificadorCLAPLaion(aqui / 'clap.pt', str(aqui / 'roberta'))
    with pytest.raises(TypeError, match='lista de textos'):
        clap.texto('un perro')
    with pytest.raises(TypeError, match='lista de ondas'):
        clap.audio(ondas[0])
    with pytest.raises(ValueError, match='batch_size'):
        clap.texto(FRASES, batch_size=0)
    with pytest.raises(ValueError, match='frecuencia'):
        clap.audio(ondas, frecuencia=0)
    with pytest.raises(FileNotFoundError, match='no_esta.pt'):
        org.CodificadorCLAPLaion(tmp_path / 'no_esta.pt')
    (tmp_path / 'cortado.pt').write_bytes((aqui / 'clap.pt').read_bytes()[:10_000_000])
    with pytest.raises(ValueError, match='cortado'):
        org.CodificadorCLAPLaion(tmp_path / 'cortado.pt')
    clap.tokenizer = str(tmp_path / 'no_hay_tokenizer')
    with pytest.raises(ChildProcessError, match='no pudo'):
        clap.texto(FRASES)


def test_el_clap_de_audioldm(pesos, ckpt, suyos):
    "El que lleva dentro es el mismo, y su condición nula es el texto vacío de `laion_clap`."
    dentro = org.clap_de_audioldm(ckpt)
    assert dentro.keys() == pesos.keys() and all(torch.equal(v, pesos[k]) for k, v in dentro.items())
    assert (org.condicion_nula(ckpt) - suyos[0][3:]).abs().max() < 1e-5


@pytest.fixture(scope='module')
def audioldm(aqui):
    return org.AudioLDMOriginal(aqui / 'audioldm.ckpt')


def test_la_imagen_cambia_el_sonido_y_la_semilla_lo_repite(audioldm):
    corto = dict(perfil='mini', segundos=1.0, pasos=5)
    gallo, gallo_1, mar = org.sonorizar_audioldm(['🐓', '🐓', '🌊'], audioldm, **corto)
    mar_0, gallo_otra_vez = (
        org.sonorizar_audioldm(['🌊'], audioldm, **corto)[0],
        org.sonorizar_audioldm('🐓', audioldm, **corto),
    )
    assert [len(s.muestras) for s in (gallo, mar)] == [16_000] * 2 and [s.semilla for s in (gallo, gallo_1, mar)] == [
        0,
        1,
        2,
    ]
    np.testing.assert_allclose(gallo.muestras, gallo_otra_vez.muestras, atol=1e-4)
    fuerza = gallo.muestras.std()
    assert fuerza > 1e-3
    for otro in (gallo_1, mar_0):
        assert np.abs(gallo.muestras - otro.muestras).mean() > 0.02 * fuerza
    assert np.abs(mar.muestras - mar_0.muestras).mean() > 0.02 * fuerza  # la tercera de la lista, con la semilla 2
    assert org.sonorizar_audioldm([], audioldm, **corto) == []


def test_el_motor_es_el_mismo(aqui, audioldm):
    from img2audio.puertas.atender import _generar

    corto = dict(perfil='mini', segundos=1.0, pasos=5, semilla=4, guia=2.0, eta=0.0)
    uno = _generar('audioldm', aqui / 'audioldm.ckpt', '🐓', dict(progreso=False, **corto))
    otro = org.sonorizar_audioldm('🐓', audioldm, **corto)
    assert uno.semilla == otro.semilla == 4 and uno.muestras.shape == (16_000,)
    np.testing.assert_allclose(uno.muestras, otro.muestras, atol=1e-4)
    with pytest.raises(ErrorDeUso, match='no admite num_audios, planificador'):
        _generar('audioldm', aqui / 'audioldm.ckpt', '🐓', dict(num_audios=2, planificador='ddim'))


def test_la_orden_con_el_motor(aqui, tmp_path, monkeypatch, capsys):
    from img2audio.comun.sonidos import Sonido
    from img2audio.puertas.atender import atender

    nada = dict(
        lote='', texto='', negativo='', elegir=1, pesos='', sonido='', fuerza=0.5, lamina='', permitir_red_local=False
    )
    pedido = dict(
        peso_texto=0.5,
        segundos=1.0,
        pasos=5,
        guia=None,
        semilla=0,
        perfil='mini',
        num_audios=None,
        planificador=None,
        dispositivo=None,
        dtype=None,
    )
    assert (
        atender(
            ['🐓'],
            str(tmp_path / 'gallo.wav'),
            motor='audioldm',
            checkpoint=str(aqui / 'audioldm.ckpt'),
            **nada,
            **pedido,
        )
        == 0
    )
    assert (
        len(Sonido.leer(tmp_path / 'gallo.wav').muestras) == 16_000 and 'gallo.wav: 1.00 s.' in capsys.readouterr().out
    )


def test_los_dos_programas_dan_la_misma_onda(aqui, audioldm, ckpt, tmp_path):
    "El archivo original en `audioldm`, y convertido en nuestra tubería; con guía, y sin ruido por el camino."
    from diffusers import DDIMScheduler

    from img2audio.integracion import cargar_tuberia

    clap = org.guardar_clap(org.clap_de_audioldm(ckpt), tmp_path / 'clap', str(aqui / 'roberta'))
    tuberia = cargar_tuberia(
        replace(
            PERFILES['mini'],
            nombre='original',
            clap=str(clap),
            audioldm=str(org.guardar_audioldm(ckpt, tmp_path / 'audioldm')),
        )
    )
    tuberia.scheduler = DDIMScheduler.from_pretrained(tmp_path / 'audioldm' / 'scheduler')
    tuberia.set_progress_bar_config(disable=True)
    e = tuberia.condicion_imagen('🌧').clone()
    suya = audioldm(e, segundos=1.28, pasos=5, semilla=3, eta=0.0)[0]
    torch.manual_seed(3)
    torch.randn(1, 8, 256, 16)  # lo que gasta audioldm en codificar un espectrograma que no usa
    nuestra = tuberia(
        prompt_embeds=e, segundos=1.28, pasos=5, guia=2.5, latents=torch.randn(1, 8, 32, 16), a_nivel=None
    )[0]
    assert suya.muestras.std() > 1e-3
    assert np.abs(suya.muestras - nuestra.muestras).max() < 1e-3 * suya.muestras.std()


def test_audioldm_rechaza(aqui, audioldm, ckpt, tmp_path):
    e = torch.nn.functional.normalize(torch.randn(1, 512), dim=1)
    for opciones, dice in (
        (dict(pasos=3), 'dividir a 1000'),
        (dict(pasos=1000), 'no pasar de 500'),
        (dict(segundos=0), 'duración'),
        (dict(nulo=e[0]), r'\(512,\)'),
    ):
        with pytest.raises(ValueError, match=dice):
            audioldm(e, **opciones)
    for malo, dice in ((e[0], r'\(512,\)'), (e[:, :9], r'\(1, 9\)'), (e * float('nan'), 'no son números')):
        with pytest.raises(ValueError, match=dice):
            audioldm(malo)
    with pytest.raises(ValueError, match='no son de un AudioLDM'):
        org.AudioLDMOriginal(aqui / 'clap.pt')
    with pytest.raises(FileNotFoundError):
        org.sonorizar_audioldm('🐓', tmp_path / 'no_esta.ckpt', 'mini')
    save_file(
        {k: v.contiguous() for k, v in ckpt.items() if not k.startswith('cond_stage_model.')},
        tmp_path / 'sin_clap.safetensors',
    )
    sin_clap = org.AudioLDMOriginal(tmp_path / 'sin_clap.safetensors')
    with pytest.raises(ValueError, match='dé la condición nula'):
        sin_clap(e)
    assert sin_clap.nulo is None and sin_clap(e, segundos=0.3, pasos=1, guia=1)[0].muestras.shape == (4800,)
