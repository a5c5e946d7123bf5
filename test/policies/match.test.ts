import t from 'tap'
import { createAcl, type Acl } from '../../src/policies/acl.ts'
import { createMatcher } from '../../src/policies/match.ts'
import { mergeRules } from '../../src/policies/merge.ts'
import { parsePolicy } from '../../src/policies/parse.ts'
import { capabilityBits } from '../../src/policies/rule.ts'
import { referenceRule, type Stanza } from './reference.ts'

const nowMs = Date.UTC(2026, 0, 1)

function acl (...texts: string[]): Acl {
  return createAcl(texts.map((text, n) => ({ name: `p${n}`, rules: parsePolicy(text) })), nowMs)
}

/** `pattern: words; pattern: words` as a policy. */
function policy (short: string): string {
  return short.split(';').filter((part) => part.trim() !== '').map((part) => {
    const [pattern = '', words = ''] = part.split(': ')
    return `path ${JSON.stringify(pattern.trim())} { capabilities = ${JSON.stringify(words.trim().split(' ').filter(Boolean))} }`
  }).join('\n')
}

// [policies, path asked for, capabilities]: what the recorded server answers or the contract states.
const table: readonly (readonly [string | readonly string[], string, string])[] = [
  ['', 'secret/x', 'deny'],
  ['secret/a: read', 'secret/a', 'read'],
  ['secret/a: read', 'secret/a/b', 'deny'],
  ['secret/a: read', 'secret/ab', 'deny'],
  ['secret/a: read', 'secret', 'deny'],
  ['/secret/a: read', 'secret/a', 'read'],
  ['/secret/a: read', '/secret/a', 'read'],
  ['secret/a*: read', 'secret/a', 'read'],
  ['secret/a*: read', 'secret/ab/c', 'read'],
  ['secret/a*: read', 'secret/b', 'deny'],
  ['secret/a/*: read', 'secret/a/', 'read'],
  ['secret/a/*: read', 'secret/a/b/c', 'read'],
  ['secret/a/*: read', 'secret/a', 'deny'],
  ['*: read', 'x', 'read'],
  ['*: read', 'sys/mounts', 'read'],
  ['*: read', '', 'read'],
  ['secret/*: read update; secret/a/*: list', 'secret/x', 'read update'],
  ['secret/*: read update; secret/a/*: list', 'secret/a/x', 'list'],
  ['secret/*: read; secret/a/*: deny; secret/a/b: read', 'secret/x', 'read'],
  ['secret/*: read; secret/a/*: deny; secret/a/b: read', 'secret/a/x', 'deny'],
  ['secret/*: read; secret/a/*: deny; secret/a/b: read', 'secret/a/b', 'read'],
  ['secret/*: deny; secret/a: read', 'secret/a', 'read'],
  ['secret/*: deny; secret/a: read', 'secret/b', 'deny'],
  ['secret/*: read; secret/a: deny', 'secret/a', 'deny'],
  ['secret/*: read; secret/a: deny', 'secret/b', 'read'],
  ['secret/+/cfg: read', 'secret/team/cfg', 'read'],
  ['secret/+/cfg: read', 'secret/a/b/cfg', 'deny'],
  ['secret/+/cfg: read', 'secret/cfg', 'deny'],
  ['secret/+/cfg: read', 'secret/team/cfgx', 'deny'],
  ['secret/+/cfg: read', 'secret/team/cfg/x', 'deny'],
  ['secret/+/cfg: read', 'secret//cfg', 'read'],
  ['secret/+: read', 'secret/a', 'read'],
  ['secret/+: read', 'secret/', 'read'],
  ['secret/+: read', 'secret/a/b', 'deny'],
  ['secret/+: read', 'secret', 'deny'],
  ['+/cfg: read', 'secret/cfg', 'read'],
  ['+/cfg: read', 'a/b/cfg', 'deny'],
  ['+: read', 'a', 'read'],
  ['+: read', 'a/b', 'deny'],
  ['secret/+/c*: read', 'secret/a/c', 'read'],
  ['secret/+/c*: read', 'secret/a/cfg/x/y', 'read'],
  ['secret/+/c*: read', 'secret/a/d', 'deny'],
  ['secret/+/c*: read', 'secret/a', 'deny'],
  ['secret/+/*: read', 'secret/a', 'deny'],
  ['secret/+/*: read', 'secret/a/', 'read'],
  ['secret/+/+/x: read', 'secret/a/b/x', 'read'],
  ['secret/+/+/x: read', 'secret/a/x', 'deny'],
  ['secret/+/cfg: read; secret/team/*: deny', 'secret/team/cfg', 'deny'],
  ['secret/+/cfg: read; secret/team/*: deny', 'secret/other/cfg', 'read'],
  ['secret/team/+/cfg: read; secret/te*: deny', 'secret/team/a/cfg', 'read'],
  ['secret/team/+/cfg: read; secret/te*: deny', 'secret/team/a', 'deny'],
  ['secret/+/cfg: read; secret/+/*: deny', 'secret/a/cfg', 'read'],
  ['secret/+/cfg: read; secret/+/*: deny', 'secret/a/x', 'deny'],
  ['secret/+/*: deny; secret/*: update', 'secret/a/x', 'update'],
  ['secret/+/*: deny; secret/*: update', 'secret/a', 'update'],
  ['secret/+/b/c: read; secret/+/+/c: deny', 'secret/a/b/c', 'read'],
  ['secret/+/b/c: read; secret/+/+/c: deny', 'secret/a/x/c', 'deny'],
  ['secret/+/b*: deny; secret/+/bcd*: read', 'secret/a/bcde', 'read'],
  ['secret/+/b*: deny; secret/+/bcd*: read', 'secret/a/bc', 'deny'],
  ['secret/+/cfg: deny; secret/a/cfg: read', 'secret/a/cfg', 'read'],
  ['secret/+/cfg: deny; secret/a/cfg: read', 'secret/b/cfg', 'deny'],
  ['secret/+x: read', 'secret/+x', 'read'],
  ['secret/+x: read', 'secret/ax', 'deny'],
  ['secret/*/x: read', 'secret/*/x', 'read'],
  ['secret/*/x: read', 'secret/a/x', 'deny'],
  ['secret/**: read', 'secret/*', 'read'],
  ['secret/**: read', 'secret/a', 'deny'],
  ['secret/*: read; secret/a*: list; secret/+: update; secret/abc: delete', 'secret/abc', 'delete'],
  ['secret/*: read; secret/a*: list; secret/+: update; secret/abc: delete', 'secret/ab', 'list'],
  ['secret/*: read; secret/a*: list; secret/+: update; secret/abc: delete', 'secret/b', 'update'],
  ['secret/a: read; secret/a: list', 'secret/a', 'list read'],
  ['secret/a: read; secret/a: deny', 'secret/a', 'deny'],
  ['secret/a: deny; secret/a: read', 'secret/a', 'deny'],
  ['secret/a: read; /secret/a: list', 'secret/a', 'list read'],
  ['secret/a: ', 'secret/a', 'deny'],
  ['secret/a: read deny list', 'secret/a', 'deny'],
  ['secret/a: patch', 'secret/a', 'patch'],
  ['secret/a: sudo', 'secret/a', 'sudo'],
  ['secret/a: update read create', 'secret/a', 'create read update'],
  [['secret/a: read', 'secret/a: list'], 'secret/a', 'list read'],
  [['secret/b/*: read', 'secret/b/*: deny'], 'secret/b/y', 'deny'],
  [['secret/b/*: deny', 'secret/b/*: read'], 'secret/b/y', 'deny'],
  [['secret/b/x/*: read', 'secret/b/*: deny'], 'secret/b/x/y', 'read'],
  [['secret/c/d/*: read', 'secret/c/*: update'], 'secret/c/d/e', 'read'],
  [['secret/c/d/*: read', 'secret/c/*: update'], 'secret/c/f', 'update'],
  ['secret/a: list', 'secret/a/', 'list'],
  ['secret/b/: list', 'secret/b/', 'list'],
  ['secret/b/: list', 'secret/b', 'deny'],
  ['secret/+: list', 'secret/a/', 'list'],
  ['secret/a*: list; secret/a/*: deny', 'secret/a/', 'deny'],
  ['secret/a: list; secret/a/: deny', 'secret/a/', 'deny'],
  ['secret/a: deny; secret/*: list', 'secret/a/', 'deny']
]

t.test('SEC-019 the policy table: exact, prefix, segment, layered, merged, listed', async (t) => {
  t.ok(table.length >= 80, `${table.length} rows`)
  for (const [given, path, words] of table) {
    const texts = typeof given === 'string' ? [given] : given
    t.strictSame(acl(...texts.map(policy)).capabilities(path), words.split(' '), `${texts.join(' | ')} → ${path}`)
  }
})

function may (rules: Acl, operation: 'read' | 'list' | 'delete' | 'update' | 'create' | 'patch', path: string): boolean {
  return rules.check({ path, operation, data: null, wrapTtlSeconds: null }).allowed
}

t.test('SEC-010 a deny of a folder holds for listing it, with and without the slash', async (t) => {
  const rules = acl(policy('kv/metadata/*: list; kv/metadata/restricted/*: deny'))
  t.equal(may(rules, 'list', 'kv/metadata/restricted/'), false)
  t.equal(may(rules, 'list', 'kv/metadata/other/'), true)
})

t.test('SEC-011 an exact deny without the slash holds for listing', async (t) => {
  const rules = acl(policy('kv/metadata/*: list; kv/metadata/restricted: deny'))
  t.equal(may(rules, 'list', 'kv/metadata/restricted/'), false)
})

t.test('SEC-012 a deny also holds in another case; an allow never does', async (t) => {
  const exact = acl(policy('kv/*: read; kv/data/example: deny'))
  for (const path of ['kv/data/EXAMPLE', 'kv/data/Example', 'KV/data/example']) t.equal(may(exact, 'read', path), false, path)
  t.equal(may(exact, 'read', 'kv/data/examples'), true)
  t.strictSame(exact.capabilities('kv/data/EXAMPLE'), ['deny'])

  const capital = acl(policy('kv/*: read; kv/data/Example: deny; kv/Data/secret/*: deny; kv/x/+/Y: deny'))
  for (const path of ['kv/data/example', 'kv/DATA/SECRET/a', 'kv/data/secret/a', 'kv/x/any/y']) t.equal(may(capital, 'read', path), false, path)

  const more = acl(policy('kv/*: deny; KV/data/a: read; kv/data/b: read'))
  t.equal(may(more, 'read', 'kv/data/a'), false)
  t.equal(may(more, 'read', 'KV/data/a'), true, 'a more specific grant of exactly this path stands')
  t.equal(may(more, 'read', 'kv/data/b'), true)

  const both = acl(policy('kv/data/Example: deny; kv/data/example: read'))
  t.equal(may(both, 'read', 'kv/data/example'), false, 'a grant that is as specific as the deny does not stand')

  const other = acl(policy('kv/data/straße: deny; kv/data/\u212Aey: deny; kv/*: read'))
  t.equal(may(other, 'read', 'kv/data/STRASSE'), false)
  t.equal(may(other, 'read', 'kv/data/key'), false)
})

t.test('SEC-020 one policy allows and another denies the same pattern: denied', async (t) => {
  t.equal(may(acl(policy('a/b: read'), policy('a/b: deny')), 'read', 'a/b'), false)
  t.equal(may(acl(policy('a/b: deny'), policy('a/b: read')), 'read', 'a/b'), false)
})

t.test('SEC-021 the most specific rule decides, also against a deny', async (t) => {
  t.equal(may(acl(policy('kv/*: deny; kv/data/a: read')), 'read', 'kv/data/a'), true)
})

t.test('SEC-023 a templated stanza grants nothing, whatever the path', async (t) => {
  const rules = acl(policy('kv/data/{{role_name}}/*: read; kv/ok: read'))
  for (const path of ['kv/data/x/a', 'kv/data/*/a', 'kv/data/+/a', 'kv/data/{{role_name}}/a', 'kv/data//a']) {
    t.equal(may(rules, 'read', path), false, path)
  }
  t.equal(may(rules, 'read', 'kv/ok'), true)
})

t.test('SEC-026 rights on the data of a KV mount give none on its other paths', async (t) => {
  const rules = acl(policy('kv/data/team/*: create read update delete list patch sudo'))
  for (const path of ['kv/metadata/team/a', 'kv/destroy/team/a', 'kv/undelete/team/a', 'kv/subkeys/team/a']) {
    t.equal(may(rules, 'delete', path), false, path)
  }
})

t.test('SEC-033 every capability except sudo is not sudo', async (t) => {
  const verdict = acl(policy('*: create read update delete list patch'))
    .check({ path: 'sys/raw/x', operation: 'read', data: null, wrapTtlSeconds: null })
  t.strictSame(verdict, { allowed: true, sudo: false, grantedBy: ['p0'] })
})

t.test('SEC-037 reading and listing are different rights', async (t) => {
  const reader = acl(policy('kv/a: read; kv/a/: read'))
  t.strictSame([may(reader, 'read', 'kv/a'), may(reader, 'list', 'kv/a/')], [true, false])
  const lister = acl(policy('kv/a: list'))
  t.strictSame([may(lister, 'read', 'kv/a'), may(lister, 'list', 'kv/a/')], [false, true])
})

t.test('SEC-041 a rule that has expired grants nothing', async (t) => {
  const rules = acl('path "a" { capabilities = ["read"] expiration = "2025-12-31T23:59:59Z" }',
    'path "a" { capabilities = ["list"] expiration = "2026-06-01T00:00:00+02:00" }')
  t.equal(may(rules, 'read', 'a'), false)
  t.equal(may(rules, 'list', 'a'), true)
})

t.test('an expired deny no longer denies', async (t) => {
  const rules = acl('path "a" { capabilities = ["deny"] expiration = "2025-12-31T23:59:59Z" }', 'path "a" { capabilities = ["read"] }')
  t.equal(may(rules, 'read', 'a'), true)
})

t.test('the policies named as granting are those with the capability, sorted', async (t) => {
  const rules = createAcl([
    { name: 'web', rules: parsePolicy(policy('a: read')) },
    { name: 'ops', rules: parsePolicy(policy('a: read sudo')) },
    { name: 'list', rules: parsePolicy(policy('a: list')) }
  ], nowMs)
  t.strictSame(rules.check({ path: 'a', operation: 'read', data: null, wrapTtlSeconds: null }),
    { allowed: true, sudo: true, grantedBy: ['ops', 'web'] })
})

t.test('whether anything is granted at or below a mount', async (t) => {
  const cases: [string, string, boolean][] = [
    ['aws/creds/a: read', 'aws/', true],
    ['aws/*: read', 'aws/', true],
    ['aw*: read', 'aws/', true],
    ['*: read', 'aws/', true],
    ['*: read; aws/*: deny', 'aws/', false],
    ['*: read; aws/*: deny; aws/a: read', 'aws/', true],
    ['+/creds/x: read', 'aws/', true],
    ['+/creds/x: read; aws/*: deny', 'aws/', false],
    ['team/+/creds: read', 'team/aws/', true],
    ['team/+: read', 'team/aws/x/', false],
    ['team/+/*: read', 'team/aws/x/', true],
    ['+/b*: read', 'a/bcd/', true],
    ['other/x: read', 'aws/', false],
    ['awsx: read', 'aws/', false],
    ['aws/a: deny', 'aws/', false],
    ['', 'aws/', false]
  ]
  for (const [given, prefix, expected] of cases) t.equal(acl(policy(given)).allowsAtOrBelow(prefix), expected, `${given} → ${prefix}`)
})

function stanzaText ({ path, capabilities }: Stanza): string {
  return `path ${JSON.stringify(path)} { capabilities = ${JSON.stringify(capabilities)} }`
}

function wordsOf (capabilities: number): string[] {
  return Object.entries(capabilityBits).filter(([, bit]) => (capabilities & bit) !== 0).map(([word]) => word).sort()
}

// Random policies of few letters, so that patterns meet; compared with the literal reference.
t.test('the matcher agrees with a literal reading of contract 4.3', async (t) => {
  let seed = 20260101
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1103515245) + 12345) >>> 0
    return (seed >>> 8) % below
  }
  const pick = <T> (from: readonly T[]): T => from[random(from.length)] as T
  const parts = ['a', 'b', 'ab', '+', '+', '', '+a', 'a+', '*']
  const words = ['create', 'read', 'update', 'delete', 'list', 'patch', 'sudo', 'deny']
  const text = (length: number, from: readonly string[]) => Array.from({ length: 1 + random(length) }, () => pick(from)).join('/')
  let compared = 0
  let found = 0
  for (let round = 0; round < 3000; round++) {
    const policies = new Map<string, Stanza[]>()
    for (const name of ['p', 'q', 'r'].slice(0, 1 + random(3))) {
      policies.set(name, Array.from({ length: 1 + random(8) }, () => ({
        path: text(4, parts) + pick(['', '', '*', 'a*']),
        capabilities: Array.from({ length: 1 + random(3) }, () => pick(words))
      })).filter(({ path }) => !path.includes('+*') && path.replace(/^\//, '') !== ''))
    }
    const rules = [...policies].map(([name, stanzas]) => ({
      name,
      rules: parsePolicy(stanzas.map(stanzaText).join('\n'))
    }))
    const matcher = createMatcher(mergeRules(rules, nowMs, (pattern) => pattern))
    for (let asked = 0; asked < 20; asked++) {
      const path = text(5, ['a', 'b', 'ab', 'aab', '', '+a', '*']) + pick(['', '/'])
      const list = random(2) === 0
      const expected = referenceRule(policies, path, list)
      const rule = matcher.find(path, list)
      const actual = rule === null ? null : wordsOf(rule.capabilities)
      compared++
      if (expected !== null) found++
      const wanted = expected === null ? null : [...expected].sort()
      if (JSON.stringify(actual) !== JSON.stringify(wanted)) {
        t.strictSame(actual, wanted, JSON.stringify({ policies: [...policies], path, list }))
        return
      }
    }
  }
  t.ok(found > 10_000, `${compared} compared, ${found} of them with a rule`)
})
