import t from 'tap'
import { parseExact } from '../../../src/core/json.ts'
import { mergePatch } from '../../../src/engines/kv/merge-patch.ts'

const merged = (target: string, patch: string) => JSON.stringify(mergePatch(parseExact(target), parseExact(patch)))

t.test('the examples of RFC 7396, appendix A', (t) => {
  const cases = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'], ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'], ['{"a":"b"}', '{"a":null}', '{}'],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'], ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'], ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'], ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'], ['{"a":"b"}', '["c"]', '["c"]'], ['{"a":"foo"}', 'null', 'null'],
    ['{"a":"foo"}', '"bar"', '"bar"'], ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'], ['[1,2]', '{"a":"b","c":null}', '{"a":"b"}'],
    ['{}', '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}']
  ] as const
  for (const [target, patch, result] of cases) t.equal(merged(target, patch), result, `${target} with ${patch}`)
  t.end()
})

t.test('names of prototypes are names like any other (SEC-198)', (t) => {
  t.equal(merged('{"a":1}', '{"__proto__":{"x":1},"constructor":{"prototype":{"y":1}}}'),
    '{"a":1,"__proto__":{"x":1},"constructor":{"prototype":{"y":1}}}')
  t.equal(merged('{"__proto__":{"x":1,"z":2}}', '{"__proto__":{"x":null}}'), '{"__proto__":{"z":2}}')
  t.equal(merged('{}', '{"toString":null,"hasOwnProperty":1}'), '{"hasOwnProperty":1}')
  t.equal(({} as { x?: number }).x, undefined)
  t.end()
})

t.test('numbers keep their digits beside a patch and in it (SEC-211)', (t) => {
  t.equal(merged('{"n":9007199254740993,"o":{"m":1.10}}', '{"o":{"k":1E2}}'), '{"n":9007199254740993,"o":{"m":1.10,"k":1E2}}')
  t.equal(merged('{"n":1.0}', '{"n":{"a":-0}}'), '{"n":{"a":-0}}')
  t.equal(merged('{"n":{"a":1}}', '{"n":12345678901234567890}'), '{"n":12345678901234567890}')
  t.end()
})
