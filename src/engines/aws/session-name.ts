/** What a session is named after. */
export interface SessionNameSource {
  /** The caller's own wish, where the role takes one. */
  readonly asked: string | null
  readonly runId: string | null
  readonly displayName: string
  readonly roleName: string
  /** With or without the path in front. */
  readonly leaseId: string
  readonly nowMs: number
}

const sessionNameMax = 64
const federatedNameMax = 32

/**
 * The RoleSessionName of an assumed role (contract 6.6): the caller's, or `<run>.<8 characters of
 * the lease>`, or `vault-<display name>-<role>-<unix time>-<20 characters of the lease>`. Of the last
 * two, what is too long is cut from names and never from the lease's part, so that a session found
 * in CloudTrail leads to its lease (SEC-147).
 */
export function sessionNameOf (source: SessionNameSource): string {
  const { asked, runId, displayName, roleName, leaseId, nowMs } = source
  if (asked !== null) return clean(asked).slice(0, sessionNameMax)
  if (runId !== null) return runName(runId, leaseId, sessionNameMax)
  const end = `-${unixTime(nowMs)}-${leaseId.slice(-20)}`
  const names = clean(`${displayName}-${roleName}`).slice(0, sessionNameMax - 'vault-'.length - end.length)
  return `vault-${names}${end}`
}

/** The name of a federated user, of at most 32 characters (contract 6.6). */
export function federatedNameOf ({ runId, leaseId, nowMs }: SessionNameSource): string {
  if (runId !== null) return runName(runId, leaseId, federatedNameMax)
  const start = `vault-${unixTime(nowMs)}-`
  return start + leaseId.slice(start.length - federatedNameMax)
}

function runName (runId: string, leaseId: string, max: number): string {
  const end = `.${leaseId.slice(-8)}`
  return clean(runId).slice(0, max - end.length) + end
}

/** Every character that STS does not take becomes `_`. */
function clean (text: string): string {
  return text.replace(/[^a-zA-Z0-9+=,.@_-]/gu, '_')
}

function unixTime (nowMs: number): number {
  return Math.floor(nowMs / 1000)
}
