const form = /^arn:(aws[a-z-]{0,20}):iam::(\d{12}):role\/(?:[\x21-\x7e]{1,512}\/)?([\w+=,.@-]{1,64})$/

/** The parts of a role's ARN (IAM User Guide, "IAM identifiers"). */
export interface RoleArn {
  readonly arn: string
  readonly partition: string
  readonly account: string
  /** Without the path, as session ARNs show it. */
  readonly roleName: string
}

/** Null for anything but the exact ARN of one IAM role: no wildcards. */
export function parseRoleArn (arn: string): RoleArn | null {
  const match = arn.length <= 2048 ? form.exec(arn) : null
  const [, partition, account, roleName] = match ?? []
  if (partition === undefined || account === undefined || roleName === undefined) return null
  return { arn, partition, account, roleName }
}

/** The ARN that a session of a role has. */
export function sessionArn ({ partition, account, roleName }: RoleArn, sessionName: string): string {
  return `arn:${partition}:sts::${account}:assumed-role/${roleName}/${sessionName}`
}
