# SPDX-License-Identifier: Apache-2.0
# Where what earlier versions made is now, so that an apply renames it and makes nothing anew. A test plans from their state.

moved {
  from = module.queue
  to   = module.queue["jobs"]
}

moved {
  from = module.fleet
  to   = module.fleet["worker"]
}

moved {
  from = module.fleet.aws_ecr_repository.this
  to   = module.cluster.aws_ecr_repository.this[0]
}

moved {
  from = module.fleet.aws_ecr_lifecycle_policy.this
  to   = module.cluster.aws_ecr_lifecycle_policy.this[0]
}

moved {
  from = module.fleet.aws_ecs_cluster.this
  to   = module.cluster.aws_ecs_cluster.this[0]
}

moved {
  from = module.fleet.aws_security_group.tasks
  to   = module.cluster.aws_security_group.tasks[0]
}
