//! An app written in Go, and what the node's agent and the cluster say of its container.

pub(super) const FAMILIES: &str = "\
up const:1
scrape_duration_seconds ratio:0.008
scrape_samples_scraped const:190
scrape_samples_post_metric_relabeling const:190
scrape_series_added const:0
http_requests_total counter:12 handler=/api/v1/read,/api/v1/write,/api/v1/query,/api/v1/items,/healthz method=GET,POST code=200,404,500
http_request_duration_seconds buckets handler=/api/v1/read,/api/v1/write,/api/v1/query,/api/v1/items
http_requests_in_flight gauge:6
go_goroutines gauge:120
go_threads gauge:18
go_info const:1 version=go1.25.3
go_gc_duration_seconds ratio:0.0005 quantile=0,0.25,0.5,0.75,1
go_gc_duration_seconds_sum nanoseconds:0.002
go_gc_duration_seconds_count counter:0.2
go_memstats_alloc_bytes gauge:90000000
go_memstats_alloc_bytes_total counter:60000000
go_memstats_frees_total counter:300000
go_memstats_mallocs_total counter:300000
go_memstats_heap_alloc_bytes gauge:90000000
go_memstats_heap_idle_bytes bytes:60000000
go_memstats_heap_inuse_bytes bytes:100000000
go_memstats_heap_objects gauge:600000
go_memstats_heap_released_bytes bytes:30000000
go_memstats_heap_sys_bytes bytes:160000000
go_memstats_last_gc_time_seconds ratio:1767225600
go_memstats_next_gc_bytes gauge:150000000
go_memstats_stack_inuse_bytes bytes:4000000
go_memstats_sys_bytes const:188000000
go_memstats_gc_sys_bytes bytes:9000000
process_cpu_seconds_total seconds:1.5
process_open_fds gauge:60
process_max_fds const:1048576
process_resident_memory_bytes bytes:170000000
process_virtual_memory_bytes bytes:1500000000
process_start_time_seconds start
process_network_receive_bytes_total counter:900000
process_network_transmit_bytes_total counter:900000
container_cpu_usage_seconds_total nanoseconds:1.5 cpu=total
container_cpu_system_seconds_total seconds:0.4
container_cpu_user_seconds_total seconds:1.1
container_cpu_cfs_periods_total counter:150
container_cpu_cfs_throttled_periods_total counter:2
container_cpu_cfs_throttled_seconds_total seconds:0.1
container_memory_working_set_bytes bytes:180000000
container_memory_rss bytes:150000000
container_memory_cache bytes:60000000
container_memory_usage_bytes bytes:220000000
container_memory_mapped_file bytes:30000000
container_memory_max_usage_bytes const:320000000
container_memory_swap const:0
container_memory_failcnt const:0
container_memory_failures_total counter:30 failure_type=pgfault,pgmajfault scope=container,hierarchy
container_network_receive_bytes_total counter:900000 interface=eth0
container_network_transmit_bytes_total counter:900000 interface=eth0
container_network_receive_packets_total counter:2000 interface=eth0
container_network_transmit_packets_total counter:2000 interface=eth0
container_network_receive_errors_total const:0 interface=eth0
container_network_transmit_errors_total const:0 interface=eth0
container_network_receive_packets_dropped_total const:0 interface=eth0
container_network_transmit_packets_dropped_total const:0 interface=eth0
container_fs_reads_total counter:2 device=/dev/nvme0n1,/dev/nvme1n1
container_fs_writes_total counter:9 device=/dev/nvme0n1,/dev/nvme1n1
container_fs_reads_bytes_total counter:40000 device=/dev/nvme0n1,/dev/nvme1n1
container_fs_writes_bytes_total counter:90000 device=/dev/nvme0n1,/dev/nvme1n1
container_processes gauge:2
container_threads gauge:22
container_sockets gauge:40
container_file_descriptors gauge:70
container_start_time_seconds start
container_spec_cpu_period const:100000
container_spec_cpu_quota const:200000
container_spec_cpu_shares const:512
container_spec_memory_limit_bytes const:536870912
kube_pod_info const:1 host_network=false priority_class=default
kube_pod_start_time start
kube_pod_status_phase flag phase=Failed,Pending,Running,Succeeded,Unknown
kube_pod_status_ready flag condition=false,true,unknown
kube_pod_container_info const:1 image=registry.example/app:v42
kube_pod_container_status_ready const:1
kube_pod_container_status_restarts_total counter:0.001
kube_pod_container_status_waiting_reason const:0 reason=CrashLoopBackOff,ContainerCreating,ImagePullBackOff
kube_pod_container_resource_requests const:0.5 resource+unit=cpu+core,memory+byte
kube_pod_container_resource_limits const:2 resource+unit=cpu+core,memory+byte
";
