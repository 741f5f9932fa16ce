-- Retoques a lo que escribe nbdev: la firma de cada función, en una tabla; los enlaces que no llevan a ninguna parte,
-- fuera; y las cifras, sin partir entre dos líneas.

local FIJO = utf8.char(160) -- un espacio que no se parte

-- Firmas ------------------------------------------------------------------------------------------------------------

-- Recorre `texto` y devuelve sus trozos entre comas, sin contar las de dentro de paréntesis, comillas y `<ayudas>`, y lo
-- que sigue a la almohadilla, si la hay.
local function trozos(texto)
  local partes, hondo, comillas, inicio, i = {}, 0, nil, 1, 1
  local function cortar(hasta)
    local parte = texto:sub(inicio, hasta):match("^%s*(.-)%s*$")
    if parte ~= "" then table.insert(partes, parte) end
  end
  while i <= #texto do
    local c = texto:sub(i, i)
    if comillas then
      if c == "\\" then i = i + 1 elseif c == comillas then comillas = nil end
    elseif c == "<" then i = texto:find(">", i, true) or #texto
    elseif c == "'" or c == '"' then comillas = c
    elseif c:find("[%(%[{]") then hondo = hondo + 1
    elseif c:find("[%)%]}]") then hondo = hondo - 1
    elseif c == "#" and hondo == 0 then
      cortar(i - 1)
      return partes, texto:sub(i + 1):match("^%s*(.-)%s*$")
    elseif c == "," and hondo == 0 then
      cortar(i - 1)
      inicio = i + 1
    end
    i = i + 1
  end
  cortar(#texto)
  return partes, nil
end

-- `img2audio.comun.perfiles.Perfil` es un `Perfil`; y `NoneType` no es un tipo, sino que nadie lo dijo.
local function tipo_corto(tipo)
  tipo = (tipo or ""):gsub("[%a_][%w_]*%.", "")
  if tipo == "NoneType" or tipo == "_empty" then return "" end
  return tipo
end

-- De `x:float=1.0`, su nombre, su tipo y su valor; de `x:str <la ayuda>='a'`, como se ve un `Param`, también qué es.
local function parametro(parte)
  local nombre, resto = parte:match("^(%*?%*?[%w_\128-\255]+)(.*)$") -- también con letras griegas
  if not nombre then return nil end
  local tipo, valor, que = "", "", ""
  local antes, ayuda, despues = resto:match("^(:[^<]-)%s*<(.*)>(.*)$")
  if ayuda then resto, que = antes .. despues, ayuda end
  if resto:sub(1, 1) == ":" then
    local hondo = 0
    for i = 2, #resto do
      local c = resto:sub(i, i)
      if c:find("[%(%[{]") then hondo = hondo + 1 elseif c:find("[%)%]}]") then hondo = hondo - 1 end
      if c == "=" and hondo == 0 then
        valor = resto:sub(i + 1)
        resto = resto:sub(1, i - 1)
        break
      end
    end
    tipo = resto:sub(2)
  elseif resto:sub(1, 1) == "=" then
    valor = resto:sub(2)
  end
  return {nombre = nombre, tipo = tipo_corto(tipo), valor = valor, que = que}
end

-- Lee una firma como las que escribe nbdev (`DocmentText`, en fastcore), un parámetro por línea y su comentario detrás.
-- Devuelve sus filas, o nada si no la entiende.
local function leer_firma(texto)
  local filas, dentro = {}, false
  for linea in (texto .. "\n"):gmatch("(.-)\n") do
    if not dentro then
      if not linea:find("def ") then return nil end
      dentro = true
      local solo = linea:match("%((.*)$")
      if solo and solo ~= "" then linea = solo else goto sigue end
    end
    if linea:find("^%)") then
      local tipo, que = linea:match("^%)%-?>?(.-):%s*#?%s*(.-)%s*$")
      if not tipo then return nil end
      tipo = tipo_corto(tipo)
      if que ~= "" or (tipo ~= "" and tipo ~= "None") then
        table.insert(filas, {nombre = "devuelve", tipo = tipo, valor = "", que = que, vuelve = true})
      end
      return filas
    end
    local otra = linea:match("^%s+#%s*(.*)$")
    if otra and #filas > 0 then
      filas[#filas].que = filas[#filas].que .. " " .. otra
    else
      local partes, que = trozos(linea)
      for _, parte in ipairs(partes) do
        local fila = parametro(parte)
        if not fila then return nil end
        if fila.nombre:find("^%*%*") then fila.que = "las demás opciones, por su nombre" end
        if fila.nombre ~= "*args" and fila.nombre ~= "**kwargs" then table.insert(filas, fila) end
      end
      if que and #filas > 0 then filas[#filas].que = que end
    end
    ::sigue::
  end
  return nil
end

-- Enlaces -----------------------------------------------------------------------------------------------------------

-- Los nombres privados no tienen ficha a la que enlazar, y «source» no está en español.
local function enlace(el)
  if el.target:find("%.html#_[^_]") or el.target:find("%.html#[^#]+%._[^_]") then return el.content end
  if el.target:find("/blob/", 1, true) and pandoc.utils.stringify(el) == "source" then
    el.content = {pandoc.Str("código")}
    return el
  end
  -- «[`abrir`](imagenes.ipynb)»: nbdev enlaza también lo de dentro, y un enlace en otro se ve a medio hacer
  local primero, ultimo = el.content[1], el.content[#el.content]
  if #el.content > 2 and primero.text == "[" and ultimo.t == "Str" and ultimo.text:find("^%]%(") then
    el.content:remove()
    el.content:remove(1)
    return el
  end
end

-- Un comentario, con su Markdown.
local function prosa(texto)
  local bloques = pandoc.read(texto, "markdown-smart").blocks
  if #bloques ~= 1 or (bloques[1].t ~= "Para" and bloques[1].t ~= "Plain") then return {pandoc.Plain(pandoc.Str(texto))} end
  return {pandoc.walk_block(pandoc.Plain(bloques[1].content), {Link = enlace})}
end

local function codigo(texto)
  if texto == "" then return {} end
  return {pandoc.Plain(pandoc.Code(texto))}
end

local MUCHOS = 8 -- parámetros; con más, la tabla empieza plegada

local function tabla(filas)
  local hay = {tipo = false, valor = false, que = false}
  local cuerpo, parametros = {}, 0
  for _, f in ipairs(filas) do
    for k in pairs(hay) do hay[k] = hay[k] or f[k] ~= "" end
    if not f.vuelve then parametros = parametros + 1 end
  end
  local cabeza = {{pandoc.Plain(pandoc.Str("nombre"))}}
  if hay.tipo then table.insert(cabeza, {pandoc.Plain(pandoc.Str("tipo"))}) end
  if hay.valor then table.insert(cabeza, {pandoc.Plain(pandoc.Str("por" .. FIJO .. "defecto"))}) end
  if hay.que then table.insert(cabeza, {pandoc.Plain(pandoc.Str("qué" .. FIJO .. "es"))}) end
  for _, f in ipairs(filas) do
    local fila = {f.vuelve and {pandoc.Plain(pandoc.Strong(pandoc.Str(f.nombre)))} or codigo(f.nombre)}
    if hay.tipo then table.insert(fila, codigo(f.tipo)) end
    if hay.valor then table.insert(fila, codigo(f.valor)) end
    if hay.que then table.insert(fila, f.que == "" and {} or prosa(f.que)) end
    table.insert(cuerpo, fila)
  end
  local lados, anchos = {}, {}
  for i = 1, #cabeza do lados[i], anchos[i] = pandoc.AlignLeft, 0 end
  local t = pandoc.utils.from_simple_table(pandoc.SimpleTable({}, lados, anchos, cabeza, cuerpo))
  local dentro = {t}
  if parametros > MUCHOS then
    dentro = {
      pandoc.RawBlock("html", "<details><summary>" .. parametros .. " parámetros</summary>"), t,
      pandoc.RawBlock("html", "</details>"),
    }
  end
  return pandoc.Div(dentro, pandoc.Attr("", {"firma"}))
end

-- Lo que nbdev escribe de una función: su título, su firma y lo que hace. Primero lo que hace, y luego la tabla.
local function fichas(bloques)
  local res, i = pandoc.List(), 1
  while i <= #bloques do
    local b, cambio = bloques[i], nil
    if b.t == "CodeBlock" and b.classes:includes("python") and not b.classes:includes("cell-code")
        and i > 1 and bloques[i - 1].t == "Header" then
      local filas = leer_firma(b.text)
      if filas then cambio = #filas > 0 and {tabla(filas)} or {} end
    end
    if cambio then
      local sigue = bloques[i + 1]
      if sigue and sigue.t == "Para" and sigue.content[1].t == "Emph" then
        local cursiva = sigue.content:remove(1) -- nbdev pone en cursiva el primer renglón, y no los demás
        res:insert(pandoc.Para(cursiva.content .. sigue.content))
        i = i + 1
      end
      res:extend(cambio)
    else
      res:insert(b)
    end
    i = i + 1
  end
  return res
end

-- Cifras y tablas ---------------------------------------------------------------------------------------------------

-- «0,84 ± 0,02», «≥ 0,9» y «95 %» no se parten.
local function cifras(frase)
  for i = 2, #frase - 1 do
    local a, b = frase[i - 1], frase[i + 1]
    if frase[i].t == "Space" and a.t == "Str" and b.t == "Str" then
      local signo = a.text == "±" or a.text == "≥" or a.text == "≤"
      local tras_cifra = a.text:find("%d$") and (b.text == "±" or b.text:find("^%%"))
      if (signo and b.text:find("^%d")) or tras_cifra then frase[i] = pandoc.Str(FIJO) end
    end
  end
  return frase
end

-- Cada columna, lo que pida lo que lleva: pandoc las hace iguales cuando una línea de la tabla es larga.
local function al_contenido(t)
  t.colspecs = t.colspecs:map(function(columna) return {columna[1]} end)
  return t
end

return {{Blocks = fichas, Link = enlace, Inlines = cifras, Table = al_contenido}}
