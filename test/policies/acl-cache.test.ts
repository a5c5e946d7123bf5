import t from 'tap'
import { createAclCache } from '../../src/policies/acl-cache.ts'
import { parsePolicy } from '../../src/policies/parse.ts'

t.test('SEC-034 compiled policies are held by how large they are, not by how many lists there are', (t) => {
  const text = Array.from({ length: 1000 }, (_, n) => `path "kv/${n}" { capabilities = ["read"] }`).join('\n')
  const rules = parsePolicy(text)
  const built: string[] = []
  const cache = createAclCache({
    clock: { now: () => 1 },
    rulesOf (name) {
      built.push(name)
      return { rules, expiresAtMs: null }
    }
  })
  const allows = (name: string) => cache.aclFor([name]).check({ path: 'kv/7', operation: 'read', data: null, wrapTtlSeconds: null }).allowed
  t.ok(allows('first'))
  t.ok(allows('first'))
  t.strictSame(built, ['first'], 'a list is compiled once')
  for (let n = 0; n < 100; n++) t.ok(allows(`other-${n}`))
  t.ok(allows('first'))
  t.equal(built.filter((name) => name === 'first').length, 2, 'and again after many others')
  t.end()
})
