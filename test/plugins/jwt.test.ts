import t, { type Test } from 'tap'
import { createHmac, createSecretKey, randomBytes } from 'node:crypto'
import { createTokenSigner, type SigningKeys } from '../../plugins/jwt.ts'
import { leastMs } from './front.ts'

const clusterId = '0b1f6a1e-7f0a-4f0e-8d2c-1a2b3c4d5e6f'
const nowMs = 1_800_000_000_000
const now = nowMs / 1000
const secrets = new Map([[1, randomBytes(32)], [2, randomBytes(32)], [3, randomBytes(32)]])

function keysOf (active: number, terms: readonly number[], cluster = clusterId): SigningKeys {
  return {
    clusterId: cluster,
    activeTerm: () => active,
    terms: () => terms,
    purposeKey: (term) => createSecretKey(secrets.get(term) ?? Buffer.alloc(0))
  }
}

const name = (kind: string) => `4f${kind}${'Az09'.repeat(10)}xyz`
const sub = `${'a1'.repeat(12)}.${'B2'.repeat(12)}`
const base = { iss: clusterId, aud: clusterId, sub, jti: name('e'), iat: now, exp: now + 60 }
const header = { alg: 'HS256', typ: 'vtk+jwt', kid: '2' }
const signer = createTokenSigner(() => keysOf(2, [2, 1]))

function encode (value: unknown): string {
  return Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url')
}

/** A token made by someone who has the key, and says what they like. */
function forge (payload: unknown, head: unknown = header, { algorithm = 'sha256', key = secrets.get(2) ?? Buffer.alloc(0) } = {}): string {
  const input = `${encode(head)}.${encode(payload)}`
  return `${input}.${createHmac(algorithm, key).update(input).digest('base64url')}`
}

function refused (t: Test, token: string, what: string, at = nowMs): void {
  t.equal(signer.verify(token, at), null, what)
}

t.test('what is signed is verified, with the term that signed it', async (t) => {
  for (const [kind, exp] of [['e', now + 60], ['c', now + 60], ['p', undefined], ['k', undefined]] as const) {
    const claims = exp === undefined ? { jti: name(kind), sub } : { jti: name(kind), sub, exp }
    const token = signer.sign(claims, nowMs)
    t.strictSame(signer.verify(token, nowMs), { ...claims, term: 2 }, kind)
    const [head = '', payload = ''] = token.split('.')
    t.equal(Buffer.from(head, 'base64url').toString(), JSON.stringify(header))
    t.strictSame(Object.keys(JSON.parse(Buffer.from(payload, 'base64url').toString())).sort(), ['aud', ...(exp ? ['exp'] : []), 'iat', 'iss', 'jti', 'sub'])
  }
  t.strictSame(signer.verify(forge(base), nowMs), { jti: base.jti, sub, exp: base.exp, term: 2 }, 'the forge itself is right')
})

t.test('SEC-080 SEC-081 no algorithm but HS256, and no other way to write it', async (t) => {
  const payload = encode(base)
  for (const alg of ['none', 'None', 'NONE', 'hs256', 'HS384', 'HS512', 'RS256', 'ES256', 'EdDSA', ['HS256'], '', null]) {
    refused(t, forge(base, { ...header, alg }), JSON.stringify(alg))
    refused(t, `${encode({ ...header, alg })}.${payload}.`, `${JSON.stringify(alg)} unsigned`)
  }
  refused(t, forge(base, { ...header, alg: 'HS512' }, { algorithm: 'sha512' }), 'really HS512')
  refused(t, forge(base, header, { algorithm: 'sha384' }), 'really HS384')
  refused(t, forge(base, '{"alg":"none","alg":"HS256","typ":"vtk+jwt","kid":"2"}'), 'two algorithms')
  refused(t, forge(base, '{"alg":"HS256","typ":"vtk+jwt","kid":"2" }'), 'a space')
  refused(t, forge(base, { typ: 'vtk+jwt', alg: 'HS256', kid: '2' }), 'another order')
  refused(t, `${encode(header)}.${payload}.`, 'no signature')
  refused(t, `${encode(header)}.${payload}`, 'two parts')
})

t.test('SEC-082 no key but the one of its kid, and no look-up for an unknown one', async (t) => {
  for (const kid of [undefined, '', '3', '9', 2, '02', ' 2', '__proto__', 'constructor', '../../x', { a: 1 }, 'x'.repeat(10_240)]) {
    refused(t, forge(base, { ...header, kid }), JSON.stringify(kid)?.slice(0, 20) ?? 'absent')
  }
  refused(t, forge(base, header, { key: Buffer.alloc(0) }), 'the empty key')
  refused(t, forge(base, header, { key: secrets.get(1) ?? Buffer.alloc(0) }), 'the key of another term')
})

t.test('SEC-083 a token without one of its claims is refused', async (t) => {
  for (const claim of Object.keys(base)) {
    const { [claim as 'iss']: _, ...rest } = base
    refused(t, forge(rest), claim)
    refused(t, forge({ ...base, [claim]: null }), `${claim} is null`)
  }
  refused(t, forge({ ...base, jti: name('p') }), 'a name without an end on a token with one')
  const { exp: _, ...endless } = base
  refused(t, forge({ ...endless, jti: name('c') }), 'a name with an end on a token without one')
})

t.test('SEC-084 SEC-107 another cluster, another kind of token, another shape', async (t) => {
  for (const other of ['', 'x', [clusterId], [clusterId, 'x'], { a: 1 }, clusterId.toUpperCase()]) {
    refused(t, forge({ ...base, iss: other }), `iss ${JSON.stringify(other)}`)
    refused(t, forge({ ...base, aud: other }), `aud ${JSON.stringify(other)}`)
  }
  for (const typ of ['JWT', 'vtk', 'VTK+JWT', 'application/vtk+jwt', 'lease+jwt', undefined]) refused(t, forge(base, { ...header, typ }), `typ ${typ}`)
  for (const jti of ['', 'x', '4Fe' + 'a'.repeat(43), '4fx' + 'a'.repeat(43), '4fe' + 'a'.repeat(42), '4fe' + 'a'.repeat(44), '4fe' + '-'.repeat(43), 1, ['4f']]) refused(t, forge({ ...base, jti }), `jti ${JSON.stringify(jti)}`)
  for (const text of ['', 'x', '.', `${sub}.`, `.${sub}`, `${sub}.x`, 1, [sub]]) refused(t, forge({ ...base, sub: text }), `sub ${JSON.stringify(text)}`)
  const elsewhere = createTokenSigner(() => keysOf(2, [2], '11111111-1111-4111-8111-111111111111'))
  t.equal(elsewhere.verify(signer.sign({ jti: name('e'), sub, exp: now + 60 }, nowMs), nowMs), null, 'the same key in another cluster')
})

t.test('SEC-085 times are whole, sane and within bounds', async (t) => {
  const withRaw = (exp: string) => forge(JSON.stringify(base).replace(`"exp":${base.exp}`, `"exp":${exp}`))
  for (const exp of ['1e999', '"1800000060"', 'null', '[1800000060]', '1800000060.5', '-1', '0', '1800000060.0', '18000000600e-1', 'true', '1e22', String(now + 4_000_000_000)]) refused(t, withRaw(exp), `exp ${exp}`)
  for (const iat of [now + 6, String(now), null, 0.5, -1, 1e22]) refused(t, forge({ ...base, iat }), `iat ${iat}`)
  refused(t, forge({ ...base, nbf: now + 6 }), 'nbf')
  refused(t, forge({ ...base, nbf: now - 6 }), 'nbf at all')
  refused(t, forge({ ...base, exp: now - 6 }), 'past by 6 s')
  refused(t, forge({ ...base, iat: now + 4, exp: now + 3 }), 'ends before it begins')
  t.ok(signer.verify(forge({ ...base, iat: now + 5 }), nowMs), 'a clock 5 s ahead')
  t.ok(signer.verify(forge(base), base.exp * 1000 - 1), 'the last millisecond')
  refused(t, forge(base), 'the end itself', base.exp * 1000)
})

t.test('SEC-086 a payload of another shape is refused', async (t) => {
  for (const payload of [[base], 'text', '"text"', 'null', '1', '{', '', { ...base, extra: 1 }]) refused(t, forge(payload), JSON.stringify(payload).slice(0, 20))
  const text = JSON.stringify(base)
  refused(t, forge(text.replace('{', '{"sub":"x",')), 'a claim twice')
  refused(t, forge(text.replace('{', `{"exp":${base.exp},`)), 'the same claim twice')
  refused(t, forge(text.replace('{', '{"__proto__":{"sub":"x"},')), '__proto__')
  refused(t, forge(text.replace('"sub"', '"\\u0073ub"')), 'another spelling')
  refused(t, forge(` ${text}`), 'white space')
  t.equal(({} as Record<string, unknown>)['sub'], undefined)
})

t.test('SEC-087 headers that name keys or extensions are refused', async (t) => {
  for (const extra of [{ jwk: {} }, { jku: 'http://127.0.0.1/' }, { x5u: 'http://127.0.0.1/' }, { x5c: [] }, { zip: 'DEF' }, { b64: false }, { crit: ['exp'] }, { crit: [] }, { cty: 'JWT' }]) {
    refused(t, forge(base, { ...header, ...extra }), JSON.stringify(extra))
  }
})

t.test('SEC-088 SEC-089 a token has one spelling', async (t) => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  for (let round = 0; round < 20; round++) {
    const token = signer.sign({ jti: name('e'), sub, exp: now + 60 + round }, nowMs)
    t.ok(signer.verify(token, nowMs))
    const last = alphabet.indexOf(token.at(-1) ?? '')
    for (let spare = 1; spare < 4; spare++) refused(t, token.slice(0, -1) + alphabet[last ^ spare], 'spare bits')
  }
  const token = signer.sign({ jti: name('e'), sub, exp: now + 60 }, nowMs)
  const [head, payload, signature] = token.split('.')
  for (const other of [` ${token}`, `${token} `, `${token}\n`, `${token}=`, `${token}.x`, `${token}.`, `.${token}`, `${head}=.${payload}.${signature}`, `${head}.${payload}=.${signature}`, `${head}. ${payload}.${signature}`, `${head}..${payload}.${signature}`, token.toUpperCase(), '', '.', '..', '...']) {
    refused(t, other, JSON.stringify(other.slice(0, 8)))
  }
})

t.test('SEC-092 a token above 2,048 bytes is refused before it is hashed, and never made', async (t) => {
  const long = [...Array(60)].map(() => 'a1'.repeat(12)).join('.')
  refused(t, forge({ ...base, sub: long }), 'long')
  t.throws(() => signer.sign({ jti: name('e'), sub: long, exp: now + 60 }, nowMs), RangeError)
  const huge = 'x'.repeat(300_000)
  t.ok(leastMs(() => signer.verify(huge, nowMs)) < 0.1)
})

t.test('SEC-094 claims that a handler changes do not stick', async (t) => {
  const token = signer.sign({ jti: name('e'), sub, exp: now + 60 }, nowMs)
  const first = signer.verify(token, nowMs)
  Object.assign(first ?? {}, { sub: 'changed', exp: 0 })
  t.strictSame(signer.verify(token, nowMs), { jti: name('e'), sub, exp: now + 60, term: 2 })
})

t.test('SEC-105 SEC-106 rotation and destruction of a key count at once', async (t) => {
  let keys = keysOf(1, [1])
  const rotating = createTokenSigner(() => keys)
  const claims = { jti: name('p'), sub }
  const old = rotating.sign(claims, nowMs)
  keys = keysOf(1, [1, 2])
  t.equal(rotating.term(), 1)
  t.ok(rotating.verify(signer.sign(claims, nowMs), nowMs), 'a published key verifies before it signs')
  keys = keysOf(2, [2, 1])
  t.equal(rotating.term(), 2)
  t.equal(rotating.verify(old, nowMs)?.term, 1)
  t.equal(rotating.verify(rotating.sign(claims, nowMs), nowMs)?.term, 2)
  keys = keysOf(2, [2])
  t.equal(rotating.verify(old, nowMs), null)
})

t.test('SEC-110 verification never throws and never explains, whatever it is given', async (t) => {
  for (let round = 0; round < 3000; round++) {
    const token = forge(base)
    const at = (round * 7919) % token.length
    const changed = token.slice(0, at) + String.fromCharCode(32 + (round * 31) % 95) + token.slice(at + (round % 3))
    if (changed !== token && signer.verify(changed, nowMs) !== null) t.fail(changed)
  }
  t.equal(signer.verify('\u{1f600}.\u0000.', nowMs), null)
})

t.test('SEC-111 a key of another size, or without entropy, is refused', async (t) => {
  for (const bytes of [Buffer.from('short'), randomBytes(16), randomBytes(31), randomBytes(33), Buffer.alloc(32)]) {
    const keys = { ...keysOf(1, [1]), purposeKey: () => createSecretKey(bytes) }
    t.throws(() => createTokenSigner(() => keys), RangeError)
  }
  t.throws(() => createTokenSigner(() => keysOf(3, [1, 2])), RangeError, 'the active term is not known')
})
