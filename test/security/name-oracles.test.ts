import t from 'tap'
import type { BrokerRequest } from '../../src/broker/request.ts'
import type { Json, JsonObject } from '../../src/core/json.ts'
import type { Store } from '../../src/core/store.ts'
import { createRig, textAt, type Rig } from '../broker/rig.ts'

const derived = '0123456789abcdefghijklmnop'

/** A store that counts what it is asked. */
function counting (counts: { trips: number }) {
  return (store: Store): Store => ({
    ...store,
    get: (keys) => {
      // Whether something changed is looked for once a second, whatever is asked.
      if (keys[0] !== 'sys:revision') counts.trips++
      return store.get(keys)
    },
    commit: (changes, options) => {
      counts.trips++
      return store.commit(changes, options)
    },
    list: (prefix, page) => {
      counts.trips++
      return store.list(prefix, page)
    }
  })
}

interface Question { readonly verb: BrokerRequest['verb'], readonly path: string, readonly data?: JsonObject }

/** All that can be asked about a path. */
function questionsAbout (path: string): Question[] {
  const verbs = ['read', 'list', 'write', 'patch', 'delete', 'help'] as const
  const places = [
    path, `${path}/a`, `${path}/data/a`, `${path}/login`, `auth/${path}/login`, `sys/mounts/${path}`, `sys/mounts/${path}/tune`, `sys/mounts/auth/${path}`,
    `sys/auth/${path}`, `sys/internal/ui/mounts/${path}`, `sys/internal/ui/mounts/${path}/a/b`, `sys/latchkey/resolve/${path}`,
    `sys/latchkey/rotation/${path}`, `sys/latchkey/rotation/${path}/rotate`, `sys/latchkey/rotation/${path}/rehearsal`,
    `sys/latchkey/stable/${path}`, `sys/leases/lookup/${path}`, `sys/leases/lookup/${path}/a`, `sys/leases/revoke-prefix/${path}`
  ]
  return [
    ...places.flatMap((place) => verbs.map((verb) => ({ verb, path: place }))),
    { verb: 'write', path: `sys/mounts/${path}/x`, data: { type: 'kv' } },
    { verb: 'write', path: `sys/mounts/${path}`, data: { type: 'kv' } },
    { verb: 'write', path: 'sys/capabilities-self', data: { paths: [path, `${path}/a`] } },
    { verb: 'write', path: 'sys/remount', data: { from: path, to: 'elsewhere' } },
    { verb: 'write', path: 'sys/remount', data: { from: 'plain', to: path } },
    { verb: 'write', path: 'sys/leases/lookup', data: { lease_id: `${path}/a/${'x'.repeat(24)}` } },
    { verb: 'write', path: 'sys/latchkey/secret-paths', data: { mount: path } },
    { verb: 'write', path: 'sys/latchkey/rotation/plain', data: { prefix: `${path}/x-` } }
  ]
}

/** An audit entry without what differs from one request to the next. */
function shapeOf (entry: Json, path: string): string {
  return JSON.stringify(entry).replaceAll(/"(time|id|request_id)":"[^"]*"/g, '').replaceAll(/hmac-sha256:[0-9a-f]{64}/g, 'HMAC').replaceAll(path, 'PATH')
}

/** An answer and what it cost. */
async function ask (rig: Rig, counts: { trips: number }, question: Question, path: string, clientToken: string | null): Promise<string> {
  const { verb, path: target, data = {} } = question
  const before = counts.trips
  const { code, text } = await rig.ask(verb, target, { data, clientToken })
  return `${code} ${text.replaceAll(path, 'PATH').replaceAll(/"request_id":"[^"]*"/g, '')} ${counts.trips - before} trips`
}

t.test('SEC-220 SEC-221 SEC-030 a former name, and an own path that does not answer, is to everyone what a path is that never was', async (t) => {
  const counts = { trips: 0 }
  const rig = await createRig(t, { wrap: counting(counts) })
  for (const path of ['mined', 'guarded', 'plain']) await rig.must('write', `sys/mounts/${path}`, { type: 'kv' })
  await rig.must('write', 'sys/latchkey/rotation/mined', { prefix: 'n-', stable_path: 'never' })
  await rig.must('write', 'sys/latchkey/rotation/guarded', { prefix: 'g-', stable_path: 'capability' })
  const retired = textAt(await rig.must('read', 'sys/latchkey/resolve/mined'), 'data', 'name')
  await rig.must('write', 'sys/latchkey/rotation/mined/rotate', { grace: 0 })
  const present = textAt(await rig.must('read', 'sys/latchkey/resolve/mined'), 'data', 'name')
  const token = async (name: string, policy: string) => {
    await rig.must('write', `sys/policies/acl/${name}`, { policy })
    return textAt(await rig.must('write', 'auth/token/create', { policies: [name] }), 'auth', 'client_token')
  }
  const all = 'capabilities = ["create", "read", "update", "patch", "delete", "list", "sudo"]'
  const stranger = await token('stranger', 'path "elsewhere" { capabilities = ["read"] }')
  const asking = await token('asking', `path "sys/*" { ${all} }\npath "sys/latchkey/stable/*" { capabilities = ["deny"] }`)
  const user = await token('user', `path "mined/*" { ${all} }\npath "n-*" { ${all} }\npath "guarded/*" { ${all} }\npath "g*" { ${all} }
    path "sys/latchkey/resolve/*" { capabilities = ["read"] }\npath "sys/capabilities-self" { capabilities = ["update"] }`)
  const never = `n-${derived}`
  t.equal(never.length, retired.length)

  const pairs = [
    { what: 'a retired name', path: retired, like: never, callers: { nobody: null, stranger, asking, user, invalid: 'no.such.token' } },
    { what: 'an own path that is guarded', path: 'guarded', like: 'gxarded', callers: { nobody: null, stranger, user } },
    { what: 'a name that is none of theirs', path: present, like: never, callers: { nobody: null, stranger, asking, invalid: 'no.such.token' } }
  ]
  const asked: { readonly path: string, readonly about: string, readonly isFound: boolean }[] = []
  const before = rig.audit().length
  for (const { what, path, like, callers } of pairs) {
    const [real, random] = [questionsAbout(path), questionsAbout(like)]
    for (const [caller, clientToken] of Object.entries(callers)) {
      for (const [n, question] of real.entries()) {
        const other = random[n] ?? question
        // Who may use the mount learns its name.
        if (caller === 'user' && question.path === 'sys/latchkey/resolve/guarded') continue
        // Both twice: what is remembered of the first time must not tell them apart either.
        for (let round = 0; round < 2; round++) {
          const about = `${what} to ${caller}: ${question.verb} ${question.path.replace(path, 'PATH')}`
          const [one, two] = [await ask(rig, counts, question, path, clientToken), await ask(rig, counts, other, like, clientToken)]
          if (one !== two) t.equal(one, two, about)
          asked.push({ path, about, isFound: path === present }, { path: like, about, isFound: path === present })
        }
      }
    }
  }
  const entries = rig.audit().slice(before)
  t.equal(entries.length, asked.length * 2)
  const told = asked.map(({ path }, n) => entries.slice(n * 2, n * 2 + 2).map((entry) => shapeOf(entry, path)).join('\n'))
  for (const [n, { about, isFound }] of asked.entries()) {
    // Of a name that leads somewhere the log knows where.
    if (n % 2 === 0 && !isFound && told[n] !== told[n + 1]) t.equal(told[n], told[n + 1], about)
  }
  t.ok(asked.length > 2000, `${asked.length / 2} pairs of answers, of store trips and of audit entries are alike`)
})
