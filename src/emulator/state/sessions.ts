import { deflateRawSync, inflateRawSync } from 'node:zlib'
import { AwsError } from '../aws-error.ts'
import { createBoundedCache } from './bounded-cache.ts'
import { accessKeyId } from './identifiers.ts'
import type { RandomSource } from './random.ts'
import type { Vault } from './vault.ts'

/** Whose temporary credentials they are. */
export type SessionKind = 'role' | 'federated' | 'user' | 'root'

/** What STS knows of temporary credentials; all of it is inside the session token. */
export interface SessionFacts {
  readonly kind: SessionKind
  readonly accountId: string
  /** Name of the role, or of the user who called. Empty for the root. */
  readonly holderName: string
  /** `AROA…` or `AIDA…`: a role made anew under the same name does not inherit the session. */
  readonly holderId: string
  /** RoleSessionName, or the federated user's name. */
  readonly name: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly sourceIdentity: string | null
  /** When the caller proved a second factor. */
  readonly mfaAtMs: number | null
  /** The provider's ARN, for a web identity. */
  readonly federatedProvider: string | null
  readonly policy: string | null
  readonly policyArns: readonly string[]
  readonly tags: readonly (readonly [string, string])[]
  readonly transitiveTagKeys: readonly string[]
}

export interface Session extends SessionFacts {
  readonly accessKeyId: string
}

export interface IssuedSession {
  readonly session: Session
  readonly secretAccessKey: string
  readonly token: string
  /** Length of the token; SessionTokenSize. */
  readonly tokenBytes: number
  /** Percentage of the limit; SessionTokenUtilization and PackedPolicySize. */
  readonly utilization: number
}

export interface Sessions {
  /** @throws AwsError PackedPolicyTooLarge when the token would exceed 4,096 bytes. */
  issue (facts: SessionFacts, tokenBytesMin: number): IssuedSession
  /** null when the token was not issued here. */
  open (token: string): Session | null
}

const tokenBytesMax = 4096
/** Real tokens of this kind begin with `IQoJb3JpZ2luX2Vj`. */
const head = Buffer.from('IQoJb3JpZ2luX2Vj', 'base64')
const textBytesMax = 65_535
const cacheMax = 4000

/**
 * Makes temporary credentials and reads them back from their token, which is sealed and kept
 * nowhere: sessions survive a restart with the same secret. `paddingBytesMin` makes every
 * token at least this long, also beyond the limit.
 */
export function createSessions (
  parts: { vault: Vault, random: RandomSource, paddingBytesMin: number }
): Sessions {
  const { vault, random, paddingBytesMin } = parts
  const opened = createBoundedCache<Session>(cacheMax)
  const packed = createBoundedCache<Buffer>(cacheMax)

  /** The parts that callers can make long: compressed, and the same at every call of one lease's kind. */
  const pack = ({ policy, policyArns, tags, transitiveTagKeys }: SessionFacts): Buffer => {
    if (policy === null && policyArns.length === 0 && tags.length === 0) return Buffer.alloc(0)
    const text = JSON.stringify([policy, policyArns, tags, transitiveTagKeys])
    const known = packed.get(text)
    if (known !== undefined) return known
    const made = deflateRawSync(text)
    packed.put(text, made)
    return made
  }

  const assemble = (core: Buffer, content: Buffer, padding: number): string => {
    const plain = Buffer.alloc(4 + core.length + content.length + padding)
    plain.writeUInt16BE(core.length, 0)
    plain.writeUInt16BE(content.length, 2)
    plain.set(core, 4)
    plain.set(content, 4 + core.length)
    return Buffer.concat([head, vault.seal('session', plain, random.bytes(12))]).toString('base64')
  }

  return {
    issue (facts, tokenBytesMin) {
      const keyId = accessKeyId('ASIA', facts.accountId, random.bytes(8))
      const core = Buffer.from(JSON.stringify([
        keyId, facts.kind, facts.accountId, facts.holderName, facts.holderId, facts.name, facts.issuedAtMs,
        facts.expiresAtMs, facts.sourceIdentity, facts.mfaAtMs, facts.federatedProvider
      ]))
      const content = pack(facts)
      const sealedBytes = head.length + 28 + 4 + core.length + content.length
      const bareBytes = 4 * Math.ceil(sealedBytes / 3)
      const percent = Math.ceil(100 * bareBytes / tokenBytesMax)
      if (bareBytes > tokenBytesMax || content.length > textBytesMax) throw tooLarge(facts, percent)

      const wantedBytes = Math.max(tokenBytesMin, paddingBytesMin)
      const padding = Math.max(0, Math.ceil(wantedBytes * 3 / 4) - sealedBytes)
      const token = assemble(core, content, padding)
      const session = { accessKeyId: keyId, ...facts }
      opened.put(token, session)
      return {
        session,
        secretAccessKey: vault.secretAccessKey(keyId),
        token,
        tokenBytes: token.length,
        utilization: Math.ceil(100 * token.length / tokenBytesMax)
      }
    },
    open (token) {
      const known = opened.get(token)
      if (known !== undefined) return known
      const bytes = Buffer.from(token, 'base64')
      if (!bytes.subarray(0, head.length).equals(head) || bytes.toString('base64') !== token) return null
      const plain = vault.open('session', bytes.subarray(head.length))
      if (plain === null) return null
      const session = read(plain)
      opened.put(token, session)
      return session
    }
  }
}

/** Reads what `issue` sealed; nobody else can have written it. */
function read (plain: Buffer): Session {
  const coreEnd = 4 + plain.readUInt16BE(0)
  const contentBytes = plain.readUInt16BE(2)
  const core = JSON.parse(plain.toString('utf8', 4, coreEnd)) as [
    string, SessionKind, string, string, string, string, number, number, string | null, number | null, string | null
  ]
  const [policy, policyArns, tags, transitiveTagKeys] = contentBytes === 0
    ? [null, [], [], []] as const
    : JSON.parse(inflateRawSync(plain.subarray(coreEnd, coreEnd + contentBytes)).toString()) as
      [string | null, string[], [string, string][], string[]]
  return {
    accessKeyId: core[0],
    kind: core[1],
    accountId: core[2],
    holderName: core[3],
    holderId: core[4],
    name: core[5],
    issuedAtMs: core[6],
    expiresAtMs: core[7],
    sourceIdentity: core[8],
    mfaAtMs: core[9],
    federatedProvider: core[10],
    policy,
    policyArns,
    tags,
    transitiveTagKeys
  }
}

function tooLarge ({ tags, policy, policyArns }: SessionFacts, percent: number): AwsError {
  const message = tags.length > 0 && policy === null && policyArns.length === 0
    ? `Packed size of session tags consumes ${percent}% of allotted space.`
    : `Packed policy consumes ${percent}% of allotted space, please use smaller policy.`
  return new AwsError(400, 'PackedPolicyTooLarge', message)
}
