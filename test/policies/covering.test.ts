import { randomInt } from 'node:crypto'
import t from 'tap'
import type { Capability } from '../../src/core/backend.ts'
import { createAcl, rootAcl, type Acl } from '../../src/policies/acl.ts'
import { parsePolicy } from '../../src/policies/parse.ts'

type Word = Exclude<Capability, 'sudo'>

const aclOf = (text: string, expires = false): Acl => createAcl([{ name: 'p', rules: parsePolicy(text), expires }], 0)
const rule = (path: string, ...words: string[]) => `path "${path}" { capabilities = [${words.map((word) => `"${word}"`).join(', ')}] }\n`

t.test('a path is covered where the rule that is chosen for it grants all that is asked', async (t) => {
  const acl = aclOf(rule('kv/*', 'read', 'list') + rule('kv/scan/', 'scan') + rule('kv/scanned', 'read') + rule('kv/scanned/', 'list') + rule('kv/secret', 'deny') + rule('kv/list', 'list') + rule('kv/own', 'read', 'update'))
  const cases: [string, Capability[], boolean][] = [
    ['kv/a', ['read'], true], ['kv/a', ['read', 'list'], true], ['kv/a', ['read', 'update'], false],
    ['kv/secret', ['read'], false], ['kv/secret', ['list'], false], ['kv/secret/', ['list'], false], ['KV/a', ['read'], false],
    ['kv/list', ['read'], false], ['kv/list', ['list'], true], ['kv/own', ['update'], true], ['kv/own', ['list'], false],
    ['kv/scan', ['scan'], true], ['kv/scan', ['read', 'scan'], true], ['kv/scan', ['list'], false], ['kv/scanned', ['scan'], false], ['elsewhere', ['read'], false], ['kv/SECRET', ['read'], false], ['kv/a', ['sudo'], false], ['kv/secret/x', ['read'], true]
  ]
  for (const [path, words, expected] of cases) t.equal(acl.covers(path, words), expected, `${path} ${words.join()}`)
})

t.test('a pattern is covered where one rule holds for all of it and none that may win grants less', async (t) => {
  const cases: [string, string, boolean][] = [
    [rule('kv/*', 'read'), 'kv/*', true],
    [rule('kv/*', 'read'), 'kv/a/*', true],
    [rule('kv/*', 'read'), 'kv/a*', true],
    [rule('kv/*', 'read'), 'kv/+/a', true],
    [rule('kv/*', 'read'), 'k*', false],
    [rule('kv/a', 'read'), 'kv/*', false],
    [rule('kv/*', 'list'), 'kv/*', false],
    [rule('kv/+', 'read'), 'kv/+', true],
    [rule('kv/+', 'read'), 'kv/*', false],
    [rule('kv/+/x', 'read'), 'kv/+/y', false],
    [rule('kv/*', 'read') + rule('kv/a', 'deny'), 'kv/*', false],
    [rule('kv/*', 'read') + rule('KV/A', 'deny'), 'kv/*', false],
    [rule('kv/*', 'read') + rule('kv/a', 'deny'), 'kv/b*', true],
    [rule('kv/*', 'read') + rule('kv/a', 'list'), 'kv/*', false],
    [rule('kv/*', 'read') + rule('kv/a', 'read', 'update'), 'kv/*', true],
    [rule('kv/*', 'read') + rule('kv/+/secret', 'deny'), 'kv/a/*', false],
    [rule('*', 'deny') + rule('kv/*', 'read'), 'kv/*', true],
    [rule('K*', 'deny') + rule('kv/*', 'read'), 'kv/a/*', true],
    [rule('KV/*', 'deny') + rule('kv/*', 'read'), 'kv/*', false],
    [rule('+/a', 'deny') + rule('kv/*', 'read'), 'kv/*', true],
    [rule('kv/*', 'read') + rule('kv/a*', 'list') + rule('kv/ab*', 'read'), 'kv/abc*', true],
    [rule('kv/*', 'read') + rule('kv', 'deny'), 'kv/*', false]
  ]
  for (const [policy, pattern, expected] of cases) t.equal(aclOf(policy).covers(pattern, ['read']), expected, `${policy}→ ${pattern}`)
  t.throws(() => aclOf('').covers('a/+*', ['read']), RangeError)
  t.ok(rootAcl.covers('*', ['read']))
})

t.test('SEC-025 SEC-041 a right under a condition, or with an end, covers nothing', async (t) => {
  const conditions = [
    'allowed_parameters = { "a" = [] }', 'denied_parameters = { "a" = [] }', 'required_parameters = ["a"]',
    'min_wrapping_ttl = "1s"', 'max_wrapping_ttl = "1h"', 'expiration = "2099-01-01T00:00:00Z"'
  ]
  for (const condition of conditions) {
    const acl = aclOf(`path "kv/*" { capabilities = ["read"]\n${condition} }`)
    for (const path of ['kv/a', 'kv/*', 'kv/+']) t.notOk(acl.covers(path, ['read']), `${condition} ${path}`)
  }
  t.notOk(aclOf(rule('kv/*', 'read'), true).covers('kv/a', ['read']), 'a policy that ends')
  const both = createAcl([{ name: 'a', rules: parsePolicy(rule('kv/*', 'read')) }, { name: 'b', rules: parsePolicy('path "kv/*" { capabilities = ["read"]\nmin_wrapping_ttl = "1s" }') }], 0)
  t.notOk(both.covers('kv/a', ['read']), 'merged from two policies')
})

const words: readonly Word[] = ['read', 'list', 'update']
const pick = <T>(from: readonly T[]): T => from[randomInt(from.length)] as T

function randomPath (open: boolean): string {
  const segments = Array.from({ length: 1 + randomInt(3) }, () => pick(open ? ['a', 'b', 'A', 'ab', '+'] : ['a', 'b', 'A', 'ab']))
  const path = segments.join('/')
  if (!open) return path
  return path + pick(['', '', '/', '*', '/*']).replace(/^\*$/, () => path.endsWith('+') ? '' : '*')
}

t.test('of thousands of random policies none covers what it does not allow', async (t) => {
  const paths = new Set<string>()
  for (const a of ['a', 'b', 'A', 'ab']) for (const b of ['', '/a', '/b', '/A', '/ab']) for (const c of ['', '/a', '/b', '/ab']) paths.add(a + b + c)
  let covered = 0
  for (let round = 0; round < 6000; round++) {
    const policy = Array.from({ length: 1 + randomInt(5) }, () => {
      const chosen = randomInt(6) === 0 ? ['deny'] : words.filter(() => randomInt(3) > 0)
      return rule(randomPath(true), ...chosen)
    }).join('')
    const grant = randomPath(true)
    const asked = words.filter(() => randomInt(2) === 0)
    const acl = aclOf(policy)
    if (asked.length === 0 || !acl.covers(grant, asked)) continue
    covered++
    const granted = aclOf(rule(grant, ...asked))
    for (const path of paths) {
      for (const operation of words) {
        const query = { path: operation === 'list' ? `${path}/` : path, operation, data: null, wrapTtlSeconds: null }
        if (granted.check(query).allowed && !acl.check(query).allowed) t.fail(`${policy}→ ${grant} [${asked.join()}] gives ${operation} ${path}`)
      }
    }
  }
  t.ok(covered > 200, `${covered} were covered`)
})
