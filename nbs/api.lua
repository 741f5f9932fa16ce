-- Retoques a lo que escribe nbdev de la API: un nombre enlazado dentro de una firma se vería con su dirección a la vista,
-- los nombres privados no tienen ficha a la que enlazar, y «source» no está en español.
function CodeBlock(el)
  el.text = el.text:gsub("%[(`[^`]+`)%]%(https?://[^)]+%)", "%1"):gsub("__main__%.", "")
  return el
end

function Link(el)
  if el.target:find("%.html#_[^_]") or el.target:find("%.html#[^#]+%._[^_]") then return el.content end
  if el.target:find("/blob/", 1, true) and pandoc.utils.stringify(el) == "source" then
    el.content = {pandoc.Str("código")}
    return el
  end
end
