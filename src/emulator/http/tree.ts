/** An answer without its envelope. Undefined members are left out; Dates are instants. */
export type Tree = { readonly [name: string]: TreeValue }
export type TreeValue =
  string | number | boolean | Date | undefined | Tree | NamedList | readonly TreeValue[]

/** A list whose elements have a name of their own, as `<Buckets><Bucket>…`. */
export interface NamedList {
  readonly itemName: string
  readonly items: readonly TreeValue[]
}

const special = /[&<>"'\u0000-\u0008\u000b-\u001f\u007f-\u009f\ud800-\udfff\ufffe\uffff]/u

/** Text as XML content. Characters that XML 1.0 cannot carry become U+FFFD. */
export function escapeXml (text: string): string {
  if (!special.test(text)) return text
  return text
    .replaceAll(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
    .toWellFormed()
    .replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;').replaceAll('\'', '&#39;').replaceAll('\r', '&#xD;')
}

/** How a service writes lists and instants. */
export interface XmlStyle {
  /** Name of a list's elements: `member` for the query protocol, `item` for EC2. */
  readonly item: string
  /** EC2, Route 53 and S3 write milliseconds. */
  readonly milliseconds: boolean
}

/** `<name>…</name>` for every member of the tree. */
export function renderXml (tree: Tree, style: XmlStyle): string {
  let xml = ''
  for (const name in tree) {
    const value = tree[name]
    if (value !== undefined) xml += renderElement(name, value, style)
  }
  return xml
}

function renderElement (name: string, value: TreeValue, style: XmlStyle): string {
  if (typeof value === 'string') return `<${name}>${escapeXml(value)}</${name}>`
  if (value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return `<${name}>${value}</${name}>`
  if (value instanceof Date) return `<${name}>${instant(value, style)}</${name}>`
  if (isList(value)) return renderList(name, style.item, value, style)
  if (isNamedList(value)) return renderList(name, value.itemName, value.items, style)
  return `<${name}>${renderXml(value, style)}</${name}>`
}

function renderList (name: string, item: string, values: readonly TreeValue[], style: XmlStyle): string {
  return `<${name}>${values.map((one) => renderElement(item, one, style)).join('')}</${name}>`
}

/** The tree as JSON: instants are epoch seconds, as STS answers when asked for JSON. */
export function renderJson (tree: TreeValue): unknown {
  if (typeof tree !== 'object') return tree
  if (tree instanceof Date) return Math.floor(tree.getTime() / 1000)
  if (isList(tree)) return tree.map(renderJson)
  if (isNamedList(tree)) return tree.items.map(renderJson)
  return Object.fromEntries(Object.entries(tree).map(([name, value]) => [name, renderJson(value)]))
}

function isList (value: TreeValue): value is readonly TreeValue[] {
  return Array.isArray(value)
}

function isNamedList (value: Tree | NamedList): value is NamedList {
  return typeof value['itemName'] === 'string' && Array.isArray(value['items'])
}

function instant (date: Date, { milliseconds }: XmlStyle): string {
  const text = date.toISOString()
  return milliseconds ? text : `${text.slice(0, 19)}Z`
}
