import { randomInt } from 'node:crypto'
import t from 'tap'
import { parsePolicy } from '../../src/policies/parse.ts'
import { compilePattern } from '../../src/policies/rule.ts'
import { plainConfig } from '../../src/mounts/mount-table.ts'
import { readScope, scopeFields, type PlanMount } from '../../src/system/scopes/scope-input.ts'
import { scopePolicyText } from '../../src/system/scopes/scope-policy.ts'
import { checkMountPath } from '../../src/system/mount-path.ts'
import { readInput, type Input } from '../../src/core/fields.ts'
import type { JsonObject } from '../../src/core/json.ts'

const planMount: PlanMount = ({ path = '', options }) => {
  checkMountPath(path)
  return { path, table: 'secret', type: 'kv', description: '', options: options ?? null, config: plainConfig, local: false, sealWrap: false }
}

function policyOf (body: JsonObject): string {
  const { input } = readInput(scopeFields, body, new Map(), '')
  const { plan } = readScope(input as Input<typeof scopeFields>, body, { boundCidrs: [], policies: ['root'] }, planMount)
  return scopePolicyText('x', plan)
}

const rulesOf = (text: string) => parsePolicy(text).map(({ pattern, capabilities }) => `${pattern.text}${pattern.open ? '*' : ''} ${capabilities}`)

t.test('the policy of a scope names its own paths and what was granted, and nothing else', async (t) => {
  const text = policyOf({
    mounts: { a: {}, b: { version: '2', capabilities: ['read', 'patch'], rotation: {} }, 'c/d': { version: 2, capabilities: ['delete'] } },
    grants: { 'aws/creds/x': ['read', 'read'], 'kv/+/y*': 'list,read' }
  })
  t.equal(text, `# Made for the scope x, and goes with it.
path "a/*" {
  capabilities = ["create", "read", "update", "delete", "list"]
}
path "b/data/*" {
  capabilities = ["read", "patch"]
}
path "b/metadata/*" {
  capabilities = ["read", "patch"]
}
path "b/subkeys/*" {
  capabilities = ["read"]
}
path "sys/latchkey/resolve/b" {
  capabilities = ["read"]
}
path "c/d/data/*" {
  capabilities = ["delete"]
}
path "c/d/metadata/*" {
  capabilities = ["delete"]
}
path "c/d/delete/*" {
  capabilities = ["update"]
}
path "c/d/destroy/*" {
  capabilities = ["update"]
}
path "aws/creds/x" {
  capabilities = ["read"]
}
path "kv/+/y*" {
  capabilities = ["read", "list"]
}
`)
})

t.test('SEC-022 SEC-023 whatever a grant\'s path is, it is refused or is the one pattern of its rule', async (t) => {
  const pieces = ['a', 'Z', '/', '/', '+', '*', '"', '\\', '{', '}', '$', '\n', '\t', ' ', '#', '//', '/*', '%', '.', '..', '-', '_', '=', ',', ';', '\'', '(', '&', 'é', '\u202e', '\0', '<<X', 'path', '] }']
  let taken = 0
  for (let round = 0; round < 20_000; round++) {
    const path = Array.from({ length: 1 + randomInt(6) }, () => pieces[randomInt(pieces.length)]).join('')
    let text: string
    try {
      text = policyOf({ grants: { [path]: ['read'] } })
    } catch {
      continue
    }
    taken++
    const pattern = compilePattern(path)
    if (rulesOf(text).join() !== `${pattern.text}${pattern.open ? '*' : ''} 2`) t.fail(`${JSON.stringify(path)} became ${rulesOf(text).join()}`)
    if (path !== pattern.text + (pattern.open ? '*' : '') || pattern.text.includes('*')) t.fail(`${JSON.stringify(path)} is another pattern`)
  }
  t.ok(taken > 500, `${taken} were taken`)
})
