import t from 'tap'
import { BrokerError } from '../../src/core/errors.ts'
import { parseExact } from '../../src/core/json.ts'
import { parseJsonObject } from '../../src/core/json-scan.ts'
import { createRandom, leastMs } from '../plugins/front.ts'

function refusal (text: string | Buffer): string {
  try {
    return `taken as ${JSON.stringify(parseJsonObject(Buffer.from(text)).data)}`
  } catch (error) {
    if (!(error instanceof BrokerError)) throw error
    t.equal(error.code, 'invalid_request')
    return error.message
  }
}

t.test('an object is read with the text it came from', async (t) => {
  const text = ' {"a":{"b":[1,2,{"c":"}{\\"][,:"}]},"ü":"\\ud83d\\ude00","":null} '
  t.strictSame(parseJsonObject(Buffer.from(text)), { data: JSON.parse(text), text })
  t.strictSame(parseJsonObject(Buffer.from('null')).data, null)
  t.strictSame(parseJsonObject(Buffer.from('{}')).data, {})
})

t.test('what is no object is refused without being repeated', async (t) => {
  for (const text of ['["secret"]', '"secret"', '1', 'true', '']) t.match(refusal(text), /^failed to decode JSON input: (?:expected an object|malformed JSON)$/, text)
  for (const text of ['{"secret"', '{"secret":}', 'secret', '{"a":1}secret', '{"a":1}{"b":2}', '{"a":01}', '{\'a\':1}', '{"a":1,}', '\ufeff{}', '{"a":"\t"}', 'nul', '{"a":NaN}']) {
    t.equal(refusal(text), 'failed to decode JSON input: malformed JSON', text)
  }
})

t.test('SEC-200 a name given twice is refused at any depth and in any spelling', async (t) => {
  for (const text of ['{"a":1,"a":1}', '{"a":1,"b":{"c":1,"c":2}}', '{"x":[{"a":{},"a":{}}]}', '{"a":1,"\\u0061":2}', '{"__proto__":1,"__proto__":2}', '{"a":{"x":1},"a":2}']) {
    t.equal(refusal(text), 'failed to decode JSON input: a name is given twice', text)
  }
  t.equal(refusal('{"a":{"a":{"a":"a"}},"b":[{"a":1},{"a":2}]}'), 'taken as {"a":{"a":{"a":"a"}},"b":[{"a":1},{"a":2}]}')
})

t.test('SEC-263 SEC-286 depth, members, names and numbers are bounded before anything is built', async (t) => {
  const nested = (depth: number) => '{"a":'.repeat(depth - 1) + '{}' + '}'.repeat(depth - 1)
  const wide = (members: number) => `{${Array.from({ length: members }, (_, i) => `"k${i}":0`).join()}}`
  t.match(refusal(nested(64)), /^taken/)
  t.equal(refusal(nested(65)), 'refused JSON input due to high complexity: too many levels')
  t.match(refusal(wide(10_000)), /^taken/)
  t.equal(refusal(wide(10_001)), 'refused JSON input due to high complexity: too many members')
  t.equal(refusal(`{"a":[${'0,'.repeat(10_000)}0]}`), 'refused JSON input due to high complexity: too many members')
  t.equal(refusal(`{"${'k'.repeat(1_000_000)}":0}`), 'refused JSON input due to high complexity: a name is too long')
  t.equal(refusal(`{"a":${'9'.repeat(100_000)}}`), 'refused JSON input due to high complexity: a number is too long')
  t.match(refusal(`{"a":"${'x'.repeat(1_000_000)}"}`), /^taken/)
})

// Under 20 ms on a quiet machine; what is quadratic takes seconds here.
t.test('SEC-286 a hostile text is judged in time that grows with its length only', async (t) => {
  const hostile = ['['.repeat(500_000), '{"a":'.repeat(100_000), `{"a":"${'\\"'.repeat(400_000)}"}`, `{"a":"${'\\\\'.repeat(400_000)}"}`, `{"a":"${'\\'.repeat(500_000)}`, ','.repeat(500_000), '"'.repeat(500_001), `{"a":[${'{},'.repeat(9000)}{}]}`]
  for (const text of hostile) {
    const bytes = Buffer.from(text)
    t.ok(leastMs(() => refusal(bytes)) < 500, text.slice(0, 8))
  }
})

t.test('two inputs never become one text: invalid UTF-8 and half surrogates are refused', async (t) => {
  for (const bytes of ['7b2261223a22ff227d', '7b2261223a22c0af227d', '7b2261223a22eda080227d', '7b22ff223a317d']) {
    t.equal(refusal(Buffer.from(bytes, 'hex')), 'failed to decode JSON input: invalid UTF-8', bytes)
  }
  for (const text of ['{"a":"\\ud800"}', '{"a":["\\udc00x"]}', '{"\\ud800":1}', '{"a":"\\ud800\\u0041"}']) {
    t.equal(refusal(text), 'failed to decode JSON input: half of a surrogate pair', text)
  }
  t.match(refusal('{"a":"\\ud83d\\ude00","b":"\\\\ud800"}'), /^taken/)
})

t.test('SEC-294 names of built-in properties are data', async (t) => {
  const { data } = parseJsonObject(Buffer.from('{"__proto__":{"polluted":1},"constructor":{"prototype":{"polluted":1}}}'))
  t.strictSame(Object.keys(data ?? {}), ['__proto__', 'constructor'])
  t.equal(({} as Record<string, unknown>)['polluted'], undefined)
})

t.test('every text is read as JSON.parse reads it, or refused', async (t) => {
  const random = createRandom(7)
  const pieces = ['{', '}', '[', ']', ',', ':', '"', '"a"', '"b"', '\\', '\\"', '\\u0061', '1', '-1.5e3', 'null', 'true', ' ', '"\\\\"', '{"a":1}', '"x":', '[1,2]']
  let taken = 0
  for (let round = 0; round < 50_000; round++) {
    let text = ''
    for (let n = Math.floor(random() * 10); n > 0; n--) text += pieces[Math.floor(random() * pieces.length)]
    if (random() < 0.7) text = `{"k":${text}}`
    let expected: unknown
    try {
      expected = JSON.parse(text)
    } catch {
      expected = undefined
    }
    try {
      const { data } = parseJsonObject(Buffer.from(text))
      taken++
      if (JSON.stringify(data) !== JSON.stringify(expected)) t.fail(text)
    } catch (error) {
      if (!(error instanceof BrokerError)) throw error
      const twice = error.message.endsWith('twice')
      if (typeof expected === 'object' && expected !== null && !Array.isArray(expected) && !twice) t.fail(`${text}: ${error.message}`)
    }
  }
  t.ok(taken > 500, `${taken} texts were taken`)
})

t.test('numbers keep their digits when read exactly', async (t) => {
  const text = '{"n":9223372036854775807,"f":1.10,"e":1e400,"z":-0,"i":42,"s":"1.10","a":[0.1,1E2],"__proto__":{"n":9007199254740993}}'
  t.equal(JSON.stringify(parseExact(text)), text)
  t.throws(() => parseExact('{'), SyntaxError)
})
