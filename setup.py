"Empaquetado de img2audio: todo lo que hay que decir está en `settings.ini`."
import shlex
from configparser import ConfigParser
from pathlib import Path

import setuptools

aqui = Path(__file__).resolve().parent
lector = ConfigParser(delimiters=['='])
lector.read(aqui/'settings.ini', encoding='utf-8')
cfg = lector['DEFAULT']

esperadas = (
    'lib_name user branch description keywords author author_email license status audience language min_python version '
    'git_url').split()
faltan = [o for o in esperadas if o not in cfg]
if faltan: raise SystemExit(f"A settings.ini le falta: {', '.join(faltan)}")

licencias = {'apache2': 'Apache-2.0'}
estados = {'1': 'Planning', '2': 'Pre-Alpha', '3': 'Alpha', '4': 'Beta', '5': 'Production/Stable', '6': 'Mature',
           '7': 'Inactive'}
extras = ('app', 'dev', 'escala', 'imagenes', 'oido')
menor = int(cfg['min_python'].split('.')[1])
leeme = aqui/'README.md'

setuptools.setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    keywords=cfg['keywords'].split(),
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    license=licencias.get(cfg['license'], cfg['license']),
    classifiers=[
        f"Development Status :: {cfg['status']} - {estados[cfg['status']]}",
        f"Intended Audience :: {cfg['audience'].title()}",
        f"Natural Language :: {cfg['language'].title()}",
        *(f'Programming Language :: Python :: 3.{v}' for v in range(menor, 14))],
    packages=setuptools.find_packages(include=[cfg['lib_name'], f"{cfg['lib_name']}.*"]),
    # los pesos, los dibujos y la gramática son datos, no paquetes: van por patrón
    package_data={cfg['lib_name']: ['gramatica.json', 'taller/palabras.json', 'pesos/**', 'dibujos/**', 'fotos/**']},
    include_package_data=False,
    install_requires=shlex.split(cfg.get('requirements', '')),
    extras_require={extra: shlex.split(cfg.get(f'{extra}_requirements', '')) for extra in extras},
    python_requires=f">={cfg['min_python']}",
    long_description=leeme.read_text(encoding='utf-8') if leeme.exists() else cfg['description'],
    long_description_content_type='text/markdown',
    entry_points={'console_scripts': shlex.split(cfg.get('console_scripts', '')),
                  'nbdev': [f"{cfg['lib_name']}={cfg['lib_name']}._modidx:d"]},
    zip_safe=False)
