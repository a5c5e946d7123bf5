import t, { type Test as Tap } from 'tap'
import type { JsonObject } from '../../src/core/json.ts'
import { createAcl } from '../../src/policies/acl.ts'
import { parsePolicy } from '../../src/policies/parse.ts'

type Query = readonly [JsonObject | null, boolean]

function check (texts: string | string[], { data = null as JsonObject | null, wrap = null as number | null, operation = 'update' as 'update' | 'read' | 'list' | 'delete' | 'patch' | 'create' } = {}): boolean {
  const all = 'capabilities = ["create", "read", "update", "list", "delete", "patch"]'
  const policies = [texts].flat().map((text, n) => ({ name: `p${n}`, rules: parsePolicy(`path "x/*" { ${all}\n${text} }`) }))
  return createAcl(policies, 0).check({ path: 'x/y', operation, data, wrapTtlSeconds: wrap }).allowed
}

function table (t: Tap, text: string | string[], queries: readonly Query[]): void {
  for (const [data, expected] of queries) t.equal(check(text, { data }), expected, `${String(text)} ← ${JSON.stringify(data)}`)
}

t.test('allowed parameters: values, globs, any value', async (t) => {
  table(t, 'allowed_parameters = { "color" = ["red", "blue*", "*green", "*mid*"], "any" = [] }', [
    [{ color: 'red' }, true], [{ color: 'blueish' }, true], [{ color: 'dark-green' }, true], [{ color: 'a-mid-b' }, true],
    [{ color: 'yellow' }, false], [{ any: 'x' }, true], [{ any: { a: [1] } }, true], [{ other: 'x' }, false],
    [{ color: 'red', other: 'x' }, false], [{ color: 5 }, false], [{}, true], [null, true], [{ color: null }, false]
  ])
  table(t, 'allowed_parameters = { "*" = [], "color" = ["red"] }', [[{ other: 'x' }, true], [{ color: 'red', other: 'x' }, true], [{ color: 'blue' }, false]])
  table(t, 'allowed_parameters = { "*" = [] }', [[{ color: 'blue', x: 1 }, true]])
  table(t, 'allowed_parameters = { "Color" = ["Red"] }', [[{ color: 'Red' }, true], [{ color: 'red' }, false]])
  table(t, 'allowed_parameters = { "on" = [true], "text" = ["true"], n = [5], z = [{ a = [1] }] }', [
    [{ on: true }, true], [{ on: false }, false], [{ text: true }, false], [{ n: 5 }, true], [{ n: 6 }, false], [{ n: '5' }, false],
    [{ z: { a: [1] } }, true], [{ z: { a: [2] } }, false], [{ z: { a: [1], b: 1 } }, false], [{ z: [1] }, false]
  ])
  table(t, 'allowed_parameters = { "constructor" = ["a"] }', [[{ toString: 'x' }, false], [{ ['__proto__x']: 'x' }, false]])
})

t.test('denied parameters', async (t) => {
  table(t, 'denied_parameters = { "color" = ["red", "bad*"], "secret" = [] }', [
    [{ color: 'red' }, false], [{ color: 'badness' }, false], [{ color: 'blue' }, true], [{ secret: 'x' }, false], [{ other: 'x' }, true], [{}, true]
  ])
  table(t, 'denied_parameters = { "*" = [] }', [[{ a: 'b' }, false], [{}, true], [null, true]])
  table(t, 'allowed_parameters = { "*" = [] }\n denied_parameters = { "color" = ["red"] }', [[{ color: 'red' }, false], [{ color: 'blue' }, true]])
})

t.test('required parameters', async (t) => {
  table(t, 'required_parameters = ["owner", "Team"]', [[{ owner: 'a' }, false], [{ owner: 'a', team: 'b', x: 'y' }, true], [{}, false], [null, false]])
})

t.test('SEC-025 a parameter in another dress is judged as in its plain one', async (t) => {
  table(t, 'denied_parameters = { "color" = ["red", 5, true], "secret" = [] }', [
    [{ Color: 'red' }, false], [{ COLOR: 'x' }, true], [{ SECRET: 'x' }, false], [{ secret: null }, false],
    [{ color: ['red'] }, false], [{ color: ['blue', ['red']] }, false], [{ color: { a: { b: 'red' } } }, false],
    [{ color: 'blue,red' }, false], [{ color: ' red ' }, false], [{ color: ['blue'] }, true],
    [{ color: 5 }, false], [{ color: '5' }, false], [{ color: 'true' }, false], [{ color: true }, false], [{ color: null }, true]
  ])
  table(t, 'allowed_parameters = { "color" = ["red"] }', [
    [{ Color: 'red' }, false], [{ color: ['red'] }, false], [{ color: { a: 'red' } }, false], [{ color: null }, false], [{ color: ['red', 'x'] }, false]
  ])
  table(t, 'required_parameters = ["owner"]', [[{ Owner: 'a' }, false], [{ owner: null }, false]])
  for (const operation of ['read', 'update', 'create', 'patch'] as const) {
    t.equal(check('denied_parameters = { "secret" = [] }', { data: { secret: 'x' }, operation }), false, operation)
  }
  for (const operation of ['list', 'delete'] as const) {
    t.equal(check('denied_parameters = { "secret" = [] }', { data: { secret: 'x' }, operation }), true, operation)
  }
})

t.test('parameter rules of equal patterns are joined', async (t) => {
  const second = 'allowed_parameters = { "color" = ["blue"], "size" = [] }\n required_parameters = ["size"]'
  table(t, ['allowed_parameters = { "color" = ["red"] }', second], [
    [{ color: 'red', size: 1 }, true], [{ color: 'blue', size: 1 }, true], [{ color: 'green', size: 1 }, false], [{ color: 'red' }, false]
  ])
  table(t, ['allowed_parameters = { "color" = [] }', second], [[{ color: 'green', size: 1 }, true]])
  for (const texts of [['', second], [second, '']]) {
    table(t, texts, [[{ color: 'red', size: 1 }, false], [{ color: 'blue', size: 1 }, true]])
  }
  table(t, ['denied_parameters = { a = ["x"] }', 'denied_parameters = { a = ["y"] }'], [[{ a: 'x' }, false], [{ a: 'y' }, false], [{ a: 'z' }, true]])
  table(t, ['denied_parameters = { a = ["x"] }', 'denied_parameters = { a = [] }'], [[{ a: 'z' }, false]])
})

t.test('wrapping limits force wrapping and bound it, for every operation', async (t) => {
  const both = 'min_wrapping_ttl = "1m"\n max_wrapping_ttl = 600'
  const cases: [string | string[], number | null, boolean][] = [
    [both, null, false], [both, 30, false], [both, 60, true], [both, 600, true], [both, 601, false],
    ['min_wrapping_ttl = "1m"', null, false], ['min_wrapping_ttl = "1m"', 86_400, true],
    ['max_wrapping_ttl = "1m"', null, false], ['max_wrapping_ttl = "1m"', 5, true], ['max_wrapping_ttl = "1m"', 0, false],
    [['min_wrapping_ttl = "5m"', 'max_wrapping_ttl = "1m"'], 300, false], [['min_wrapping_ttl = "5m"', 'max_wrapping_ttl = "1m"'], 30, false],
    [['min_wrapping_ttl = "5m"', 'min_wrapping_ttl = "1m"'], 60, true], [['max_wrapping_ttl = "5m"', 'max_wrapping_ttl = "1m"'], 61, false]
  ]
  for (const [text, wrap, expected] of cases) {
    for (const operation of ['read', 'list', 'delete'] as const) t.equal(check(text, { wrap, operation }), expected, `${String(text)} ${wrap} ${operation}`)
  }
})
