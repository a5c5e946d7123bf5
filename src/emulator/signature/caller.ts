import type { Role, User } from '../state/records.ts'
import type { Session } from '../state/sessions.ts'
import type { Account } from '../state/world.ts'

/** Who made a request, once its signature was found good. */
export interface Caller {
  readonly kind: 'root' | 'user' | 'role-session' | 'federated-user'
  readonly account: Account
  readonly arn: string
  /** aws:userid: `AIDA…`, `AROA…:session`, `account:name`, or the account's number for the root. */
  readonly userId: string
  readonly accessKeyId: string
  /** The user, also behind a federated user and behind GetSessionToken. */
  readonly user: User | null
  readonly role: Role | null
  /** null for long-term keys. */
  readonly session: Session | null
}
