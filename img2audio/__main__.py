"""`python -m img2audio`: la orden `img2audio`, con ese nombre en sus mensajes."""
import sys

from .puertas.orden import principal

sys.argv[0] = 'img2audio'
principal()
